// A Hub on loopback: the listing, the files with ranges, and whatever misbehaviour a test wants.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Seen = { method: string; url: string; range?: string; authorization?: string };

export type HubServer = AsyncDisposable & {
  readonly endpoint: string;
  readonly commit: string;
  readonly seen: Seen[];
  /** Requests for a file's bytes. */
  asked(path: string): Seen[];
  /** Answers a request in its own way; false where it is to be answered as usual. */
  intercept(handler: Handler): void;
};

type Handler = (
  request: IncomingMessage & { url: string },
  response: ServerResponse,
  file: { path: string; bytes: Uint8Array } | undefined,
) => boolean | Promise<boolean>;

export type HubFiles = Readonly<Record<string, Uint8Array>>;
export type Entry = Record<string, unknown>;

const gitOid = (bytes: Uint8Array) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What the Hub says of a file; weights are kept by LFS. */
export function entryOf(path: string, bytes: Uint8Array): Entry {
  const entry = { type: 'file', path, size: bytes.length, oid: gitOid(bytes) };
  if (!path.endsWith('.safetensors')) return entry;
  return { ...entry, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } };
}

export async function hubServer(
  files: HubFiles,
  {
    name = 'org/small',
    commit = 'a'.repeat(40),
    listing = Object.entries(files).map(([path, bytes]) => entryOf(path, bytes)),
  }: { name?: string; commit?: string; listing?: Entry[] } = {},
): Promise<HubServer> {
  const seen: Seen[] = [];
  let handler: Handler = () => false;
  const resolve = `/${name}/resolve/${commit}/`;

  const answer = async (request: IncomingMessage & { url: string }, response: ServerResponse) => {
    const { url, headers } = request;
    const path = url.startsWith(resolve)
      ? decodeURIComponent(url.slice(resolve.length))
      : undefined;
    const bytes = path === undefined ? undefined : files[path];
    const file = path !== undefined && bytes ? { path, bytes } : undefined;
    seen.push({
      method: request.method ?? '',
      url,
      ...(headers.range === undefined ? {} : { range: headers.range }),
      ...(headers.authorization === undefined ? {} : { authorization: headers.authorization }),
    });
    if (await handler(request, response, file)) return;
    if (url.startsWith(`/api/models/${name}/revision/`)) {
      const revision = decodeURIComponent(
        new URL(url, 'http://x').pathname.split('/').at(-1) ?? '',
      );
      const known = ['main', 'v1', commit].includes(revision);
      if (!known) return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end();
      const info = { _id: '1', id: name, sha: commit, private: false, lastModified: '2026-01-01' };
      return void json(response, info);
    }
    if (url.startsWith(`/api/models/${name}/tree/${commit}`)) return void json(response, listing);
    if (file) return sendFile(request, response, file.bytes);
    response.writeHead(404).end();
  };

  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    void answer(request as IncomingMessage & { url: string }, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    endpoint,
    commit,
    seen,
    asked: (path) => seen.filter(({ url }) => url === `${resolve}${path}`),
    intercept: (given) => {
      handler = given;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

export function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export function rangeOf(request: IncomingMessage, size: number): [from: number, to: number] {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) return [0, size];
  return [Number(from), to === '' || to === undefined ? size : Math.min(size, Number(to) + 1)];
}

export function sendFile(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array) {
  const [from, to] = rangeOf(request, bytes.length);
  const ranged = request.headers.range !== undefined;
  if (ranged && from >= bytes.length) return void response.writeHead(416).end();
  response.writeHead(ranged ? 206 : 200, {
    'content-length': to - from,
    ...(ranged ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
  });
  response.end(bytes.subarray(from, to));
}
