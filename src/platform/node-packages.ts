// Where an installed npm package lies: in the working folder's project first, then beside this one.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The folder of an installed package, or undefined. Packages that hide package.json are found too. */
export function packageFolder(name: string): string | undefined {
  for (const from of [pathToFileURL(join(process.cwd(), 'x.js')).href, import.meta.url]) {
    for (const folder of createRequire(from).resolve.paths(name) ?? []) {
      if (existsSync(join(folder, name, 'package.json'))) return join(folder, name);
    }
  }
  return undefined;
}

/** Where a file or folder that comes with this package lies. */
export const ownPath = (name: string): string | undefined =>
  fileURLToPath(new URL(`../../${name}`, import.meta.url));
