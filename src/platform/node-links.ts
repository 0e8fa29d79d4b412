// A second name for a file: a relative link, so that the folder may be moved, put in place by a
// rename; a copy where the system allows no links (Windows without developer mode).
import { copyFile, mkdir, realpath, symlink } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { codeOf, onFile } from './node-errors.js';
import { flushFolder, renameInto, withTemp } from './node-write.js';

export async function linkInto(target: string, path: string): Promise<void> {
  const [real, now] = await Promise.all([
    onFile(target, () => realpath(target)),
    realpath(path).catch(() => undefined),
  ]);
  if (real === now) return;
  const folder = dirname(resolve(path));
  await onFile(path, () => mkdir(folder, { recursive: true }));
  // Between real places: a folder on the way may be a link itself.
  const from = await onFile(folder, () => realpath(folder));
  await withTemp(path, async (temp) => {
    try {
      await symlink(relative(from, real), temp);
    } catch (error) {
      if (!['EPERM', 'ENOSYS', 'ENOTSUP'].includes(codeOf(error) ?? '')) {
        return await onFile(path, () => Promise.reject(error));
      }
      await onFile(path, () => copyFile(real, temp));
    }
    await onFile(path, () => renameInto(temp, path));
  });
  await flushFolder(folder);
}
