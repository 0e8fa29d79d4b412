// The platform in Node. The contract, with units and errors, is `Platform` in platform.ts.
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

export { checkName } from './names.js';
export { cacheFolders } from './node-cache.js';
export { writeFolder } from './node-folder.js';
export { linkInto } from './node-links.js';
export { withLock } from './node-lock.js';
export { machine, parallelism, peakResidentBytes, residentBytes } from './node-machine.js';
export { safeName } from './node-names.js';
export { npmTarball } from './node-npm.js';
export { ownPath, packageFolder } from './node-packages.js';
export {
  exists,
  fileBytes,
  hashFile,
  list,
  makeFolder,
  openFile,
  readChunks,
  readFile,
  readRange,
  remove,
  sha256,
} from './node-read.js';
export { writeResumable } from './node-resume.js';
export { writeAtomic } from './node-write.js';
export type {
  Bytes,
  Chunks,
  Entry,
  FolderFile,
  MachineFacts,
  OpenFile,
  Platform,
  ReadOptions,
  ResumableSource,
  WriteFolderOptions,
  WriteOptions,
  Written,
  WrittenFile,
} from './platform.js';

import { tempBeside as temp } from './node-write.js';

export const kind: 'node' | 'web' = 'node';
export const tempBeside = (path: string): string => temp(path);
export const joinPath = (...parts: string[]): string => join(...parts);
export const baseName = (path: string): string => basename(path);
export const folderOf = (path: string): string => dirname(path);
export const homeFolder = (): string => homedir();
export const environment = (name: string): string | undefined => process.env[name] || undefined;
