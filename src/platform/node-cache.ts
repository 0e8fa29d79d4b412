// Where this program keeps what it fetched.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** See `Platform.cacheFolders`. */
export function cacheFolders(): readonly string[] {
  const { ANYFORMER_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (ANYFORMER_CACHE) return [resolve(ANYFORMER_CACHE)];
  const own = resolve('.cache');
  const user =
    process.platform === 'darwin'
      ? join(homedir(), 'Library', 'Caches')
      : process.platform === 'win32'
        ? LOCALAPPDATA || join(homedir(), 'AppData', 'Local')
        : XDG_CACHE_HOME || join(homedir(), '.cache');
  // A project that has such a folder keeps its own.
  const project = existsSync(join(own, 'data')) ? [own] : [];
  return [...project, join(user, 'anyformer')];
}
