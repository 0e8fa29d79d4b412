// What the library asks of the machine it runs on: files, hashes, facts. Types only. The twins are
// node.ts and web.ts, chosen by the package's `imports` map; the rest of the library says '#platform'.
// Worker threads are not here; of the network, npm packages are.

/** Bytes in one piece or in many; many are written as they come and never held together. */
export type Chunks = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export type Bytes = Uint8Array<ArrayBuffer>;

export type ReadOptions = {
  /** First byte, 0 unless told. */
  start?: number;
  /** Number of bytes; to the end of the file unless told. */
  length?: number;
  signal?: AbortSignal | undefined;
};

export type WriteOptions = {
  signal?: AbortSignal | undefined;
  /**
   * The number of bytes that `chunks` will give, where known: named when the disk is full, and
   * `file/incomplete` when another number came.
   */
  bytes?: number | undefined;
};

export type Written = { bytes: number /** SHA-256, lower-case hex. */; sha256: string };

export type WrittenFile = Written & { name: string };

export type FolderFile = {
  /** Relative, with `/` between folders; held to the rules of `checkName`. */
  name: string;
  /** The bytes, or a function of the files written before this one (a manifest holds hashes). */
  chunks: Chunks | ((written: readonly WrittenFile[]) => Chunks);
  bytes?: number | undefined;
};

export type WriteFolderOptions = {
  signal?: AbortSignal | undefined;
  /** Replace a folder that holds files. With `last`, only one that holds that file too. */
  overwrite?: boolean | undefined;
  /** The manifest: it must be among the files, and is written after all the others. */
  last?: string | undefined;
};

export type Entry = { name: string; kind: 'file' | 'folder' | 'other' };

/** One file held open: every read sees the same file, even when its name is given to another. */
export type OpenFile = AsyncDisposable & {
  readonly path: string;
  /** Size in bytes when it was opened. */
  readonly bytes: number;
  /** `length` bytes from `start` in a buffer of their own; `file/truncated` when there are fewer. */
  read(start: number, length: number): Promise<Bytes>;
  /** Fills `target` from `start`, for callers that own the buffer. */
  readInto(target: Uint8Array, start: number): Promise<void>;
  close(): Promise<void>;
};

/** Where the bytes of a file come from that may take several goes. */
export type ResumableSource = {
  /** Size of the whole file. */
  bytes: number;
  /** Of the whole file; `git` is the SHA-1 that git names its blobs by. Lower-case hex. */
  digest: { algorithm: 'sha256' | 'git'; hex: string };
  /** The bytes from `start` on, or from 0 where the source knows no parts: it says which. */
  from(start: number): Promise<{ start: number; chunks: AsyncIterable<Uint8Array> }>;
  /** Bytes that are there, those of earlier goes among them. */
  progress?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
};

export type MachineFacts = {
  cpu: string;
  /** Logical cores of the machine. */
  cores: number;
  /** Cores this process may use: affinity and container quota counted. */
  parallelism: number;
  /** Memory of the machine or of the container, whichever is less; 0 where a page cannot know. */
  memoryBytes: number;
  /** Load averages over 1, 5 and 15 minutes; zeros where the system keeps none. */
  load: readonly [number, number, number];
  /** Operating system and architecture, `linux-x64`. */
  platform: string;
  /** `node 20.20.2`, or the browser's name for itself. */
  runtime: string;
};

/**
 * Both twins export every member under its name. In a page a path is an address (relative to the
 * page or absolute), and what a page cannot do rejects with `platform/unsupported`.
 *
 * Errors: `file/not-found`, `file/denied`, `file/kind` (a folder where a file belongs or the
 * reverse), `file/exists`, `file/truncated`, `file/range`, `file/disk-full`, `file/incomplete`,
 * `file/io`, `file/name`, `file/manifest`, `file/protected`, `file/digest`, `file/excess`. An
 * aborted call rejects with the signal's reason.
 */
export type Platform = {
  readonly kind: 'node' | 'web';

  /** The whole file, in a buffer of its own. */
  readFile(path: string, options?: { signal?: AbortSignal | undefined }): Promise<Bytes>;
  /** `length` bytes from `start`. */
  readRange(path: string, start: number, length: number): Promise<Bytes>;
  /** The file piece by piece (about 1 MB each), for what need not be in memory at once. */
  readChunks(path: string, options?: ReadOptions): AsyncIterable<Bytes>;
  openFile(path: string): Promise<OpenFile>;
  fileBytes(path: string): Promise<number>;
  exists(path: string): Promise<boolean>;
  /** The entries of a folder by name, sorted. */
  list(folder: string): Promise<Entry[]>;
  makeFolder(path: string): Promise<void>;
  /** Removes a file or a folder with all it holds; no error when there is none. */
  remove(path: string): Promise<void>;

  /** A fresh name in the folder of `path`, on the same file system; `remove` it when done. */
  tempBeside(path: string): string;
  /**
   * Writes a file whole or not at all: under a temporary name, flushed to the disk, renamed into
   * place, the folder flushed. Missing folders are made. A link at `path` is replaced, not followed.
   */
  writeAtomic(path: string, chunks: Chunks, options?: WriteOptions): Promise<Written>;
  /**
   * Writes a folder whole or not at all. The target must be absent or empty unless `overwrite`.
   * Replacing takes two renames: a machine that dies between them leaves both folders whole under
   * `.NAME.….old` and `.NAME.….tmp` beside the target.
   */
  writeFolder(
    path: string,
    files: Iterable<FolderFile> | AsyncIterable<FolderFile>,
    options?: WriteFolderOptions,
  ): Promise<WrittenFile[]>;

  /**
   * Fills `partial`, going on where an earlier call ended, and gives it the name `path` when it is
   * whole and its digest is right. What came is kept when the source fails or on abort; it is thrown
   * away after `file/digest` and `file/excess` (more than `bytes`). One writer at a time: see `withLock`.
   */
  writeResumable(path: string, partial: string, source: ResumableSource): Promise<void>;
  /** Runs `work` while this process alone holds the lock file `path`; waits until it is free. */
  withLock<T>(
    path: string,
    work: () => Promise<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  /** Makes `path` a second name of the file `target`, replacing what was there. */
  linkInto(target: string, path: string): Promise<void>;
  /** Joins names of our own; `..` is resolved. For names from outside use `safeName`. */
  joinPath(...parts: string[]): string;
  baseName(path: string): string;
  folderOf(path: string): string;
  /** The parts of an outside name, or `file/name` saying which rule it breaks. No disk is asked. */
  checkName(name: string): string[];
  /**
   * The path of `name`, which comes from outside (an index file, the Hub, an archive), inside
   * `base`. Refuses what `checkName` refuses, and links that lead out of `root` (`base` unless told:
   * a Hub cache's snapshots link to `blobs` beside them).
   */
  safeName(base: string, name: string, options?: { root?: string }): Promise<string>;

  /** SHA-256 in lower-case hex. */
  sha256(bytes: Uint8Array): Promise<string>;
  hashFile(path: string, options?: { signal?: AbortSignal | undefined }): Promise<Written>;

  /** A variable of the environment; undefined where it is not set or empty, as in a page. */
  environment(name: string): string | undefined;
  /** The user's own folder. */
  homeFolder(): string;
  /** The folder of an installed npm package; undefined where there is none, as in a page. */
  packageFolder(name: string): string | undefined;
  /** Where a file or folder that comes with this package lies; undefined in a page. */
  ownPath(name: string): string | undefined;
  /**
   * The tarball of `NAME@VERSION`, from the registry that npm is set up with. Nothing of it is run.
   * Errors: `platform/npm` with npm's reason.
   */
  npmTarball(spec: string, options?: { signal?: AbortSignal | undefined }): Promise<Bytes>;
  /**
   * Folders that may hold what was fetched; new things go into the first. `ANYFORMER_CACHE` alone
   * where that is set, else the working folder's `.cache` where it has data, and the user's cache.
   */
  cacheFolders(): readonly string[];

  machine(): Promise<MachineFacts>;
  parallelism(): number;
  /** Memory of this process that is in RAM now, and the most it has been, in bytes. */
  residentBytes(): number;
  peakResidentBytes(): number;
};
