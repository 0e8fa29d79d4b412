// A clone gets ready by itself: what is missing is noticed, built once, and never twice.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, isBuilt } from '../scripts/build.mjs';
import { missingPackages } from '../scripts/setup.mjs';
import { repository } from '../scripts/tree.mjs';
import { fixture } from './fixture.js';

const lock = (packages: Record<string, object>) => JSON.stringify({ packages });

test('packages are missing when absent, of another version, or incomplete', async () => {
  const wanted = {
    '': { name: 'house' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/a/node_modules/@s/b': { version: '2.0.0' },
    'node_modules/other-platform': { version: '3.0.0', optional: true },
  };
  await using house = await fixture({ 'package-lock.json': lock(wanted) });
  expect(missingPackages(house.root)).toBe('no packages are installed');

  const { '': _, 'node_modules/other-platform': __, ...installed } = wanted;
  await house.write({
    'node_modules/.package-lock.json': lock(installed),
    'node_modules/a/package.json': '{}',
    'node_modules/a/node_modules/@s/b/package.json': '{}',
  });
  expect(missingPackages(house.root)).toBeUndefined();

  await house.write({
    'package-lock.json': lock({ ...wanted, 'node_modules/a': { version: '1.0.1' } }),
  });
  expect(missingPackages(house.root)).toBe('a 1.0.1 is not installed');
  await house.write({ 'package-lock.json': lock(wanted) });
  await rm(join(house.root, 'node_modules/a/node_modules'), { recursive: true });
  expect(missingPackages(house.root)).toBe('@s/b is incomplete');
});

// As the repository's own, without the type libraries that take the compiler's time.
const settings = {
  'tsconfig.json': JSON.stringify({
    compilerOptions: { module: 'nodenext', target: 'es2023', lib: ['es2023'], types: [] },
  }),
  'tsconfig.build.json': JSON.stringify({
    extends: './tsconfig.json',
    compilerOptions: {
      rootDir: 'src',
      outDir: 'dist',
      declaration: true,
      sourceMap: true,
      incremental: true,
      tsBuildInfoFile: 'dist/.tsbuildinfo',
    },
    include: ['src'],
    exclude: ['src/**/*.test.ts'],
  }),
};

async function clone(files: Record<string, string>) {
  const house = await fixture({ 'package.json': '{ "type": "module" }', ...settings, ...files });
  await symlink(join(repository, 'node_modules'), join(house.root, 'node_modules'));
  return house;
}

test('builds what changed: new, edited, removed, tests left out, assets copied', async () => {
  await using house = await clone({
    'src/a.ts': 'export const a: number = 1;',
    'src/deep/b.ts': "export { a } from '../a.js';",
    'src/a.test.ts': 'export const test = 1;',
    'src/deep/style.css': 'p {}',
  });
  const dist = (...parts: string[]) => join(house.root, 'dist', ...parts);
  expect(isBuilt(house.root)).toBe(false);
  expect(build(house.root)).toBe(true);
  expect(isBuilt(house.root)).toBe(true);
  expect((await readdir(dist())).sort()).toEqual(
    ['.built', '.tsbuildinfo', 'a.d.ts', 'a.js', 'a.js.map', 'deep'].sort(),
  );
  expect(await readFile(dist('deep', 'style.css'), 'utf8')).toBe('p {}');

  await house.write({ 'src/a.ts': 'export const a: number = 2;' });
  // An edit is seen although the clock stands still and the size is the same.
  await utimes(join(house.root, 'src/a.ts'), new Date(), new Date(Date.now() + 5));
  expect(isBuilt(house.root)).toBe(false);
  build(house.root);
  expect(await readFile(dist('a.js'), 'utf8')).toContain('a = 2');

  await rm(join(house.root, 'src/deep'), { recursive: true });
  expect(isBuilt(house.root)).toBe(false);
  build(house.root);
  expect(existsSync(dist('deep', 'b.js'))).toBe(false);
  expect(existsSync(dist('deep', 'style.css'))).toBe(false);

  await rm(dist('a.js'));
  await rm(dist('.built'));
  build(house.root);
  expect(existsSync(dist('a.js'))).toBe(true);

  await rm(dist(), { recursive: true });
  build(house.root);
  expect(existsSync(dist('a.js'))).toBe(true);
});

test('type errors are told, and the build is not taken for a good one', async () => {
  await using house = await clone({ 'src/a.ts': "export const a: number = 'one';" });
  expect(build(house.root)).toBe(false);
  expect(existsSync(join(house.root, 'dist', 'a.js'))).toBe(true);
  expect(isBuilt(house.root)).toBe(false);
});

test('a lock held by a dead process is taken over; a live one is waited for', async () => {
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  await using house = await clone({
    'src/a.ts': 'export const a = 1;',
    '.cache/setup.lock': String(dead),
  });
  expect(build(house.root)).toBe(true);
  expect(existsSync(join(house.root, '.cache', 'setup.lock'))).toBe(false);

  const lockFile = JSON.stringify(join(house.root, '.cache', 'setup.lock'));
  const holder = spawn(process.execPath, [
    '-e',
    `const fs = require('fs'); fs.writeFileSync(${lockFile}, String(process.pid));
     console.log('held'); setTimeout(() => fs.rmSync(${lockFile}), 400);`,
  ]);
  await new Promise((done) => holder.stdout.once('data', done));
  await rm(join(house.root, 'dist'), { recursive: true });
  const start = performance.now();
  expect(build(house.root)).toBe(true);
  expect(performance.now() - start).toBeGreaterThan(250);
});
