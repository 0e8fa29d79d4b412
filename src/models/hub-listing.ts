// What a Hub model holds at a revision: its commit, and the size and digest of every file. Asked
// through @huggingface/hub; the answer comes from outside, so every entry is checked before anything
// is done with it. Reads no file.
import { z } from 'zod';
import { AnyformerError } from '../tensor/error.js';
import { configError } from './config-file.js';
import type { HubReference } from './hub-reference.js';
import { bodyOf, type HubAccess, request, retrying } from './hub-request.js';
import { isJsonObject, parseJsonStrict, printable } from './json-strict.js';

export type HubFile = {
  readonly path: string;
  readonly bytes: number;
  /** Of its contents. Its hex digits name the blob in the cache. */
  readonly digest: { readonly algorithm: 'sha256' | 'git'; readonly hex: string };
};

export type HubListing = {
  readonly reference: HubReference;
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
};

const MAX_ANSWER_BYTES = 20_000_000;
const MAX_ENTRIES = 100_000;

const commit = z.string().regex(/^[0-9a-f]{40}$/, 'a commit of 40 hex digits');
const size = z.int().nonnegative();
const entry = z.object({
  type: z.string(),
  path: z.string(),
  size,
  oid: commit,
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256'), size }).optional(),
});

/** Errors: `hub/not-found`, `hub/denied`, `hub/listing`, and others of `request`. */
export async function listHub(reference: HubReference, access: HubAccess): Promise<HubListing> {
  const { listFiles, modelInfo } = await import('@huggingface/hub');
  const { name, revision } = reference;
  // The library knows neither redirects to other hosts, nor retries, nor a limit of an answer.
  const hubUrl = access.endpoint;
  const one = { hubUrl, fetch: asFetch(access, 'object') };
  const many = { hubUrl, fetch: asFetch(access, 'list') };
  const info = await modelInfo({ name, revision, additionalFields: ['sha'], ...one });
  const file = `the listing of ${name}`;
  const sha = checked(commit, info.sha, file);
  const files = new Map<string, HubFile>();
  const repo = { type: 'model', name } as const;
  let count = 0;
  for await (const given of listFiles({ repo, revision: sha, recursive: true, ...many })) {
    if (++count > MAX_ENTRIES) throw wrongListing(file, `at most ${MAX_ENTRIES} files`, 'more');
    if ((given as { type?: unknown } | null)?.type !== 'file') continue;
    const { path, size: bytes, oid, lfs } = checked(entry, given, file);
    checkPath(path, file);
    if (files.has(path)) throw wrongListing(file, 'each file once', printable(path));
    files.set(path, {
      path,
      bytes: lfs?.size ?? bytes,
      digest: lfs ? { algorithm: 'sha256', hex: lfs.oid } : { algorithm: 'git', hex: oid },
    });
  }
  return { reference, commit: sha, files };
}

function checked<S extends z.ZodType>(schema: S, value: unknown, file: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw configError(result.error, value, file, 'hub/listing');
}

// Names that Git itself cannot hold: whoever lists them means to write elsewhere. What is odd on some
// systems only is told when the file is wanted.
function checkPath(path: string, file: string): void {
  const forged =
    path.includes('\0') || path.split(/[/\\]/).some((p) => p === '..') || /^([/\\]|$)/.test(path);
  if (forged) throw wrongListing(file, 'names inside the repository', printable(path));
}

const wrongListing = (file: string, expected: string, found: string) =>
  new AnyformerError('hub/listing', { what: `${file} cannot be right`, expected, found });

/** What the library asks with: it gets JSON of the form it expects, or an error is thrown. */
const asFetch =
  (access: HubAccess, form: 'object' | 'list'): typeof fetch =>
  async (input) => {
    const address = input instanceof Request ? input.url : String(input);
    const { text, link } = await retrying(() => textOf(address, access), access);
    const limits = { file: address, code: 'hub', maxBytes: MAX_ANSWER_BYTES };
    const value = parseJsonStrict(text, limits);
    if (form === 'list' ? !Array.isArray(value) : !isJsonObject(value)) {
      throw wrongListing(address, `a JSON ${form}`, printable(text.slice(0, 60)));
    }
    return new Response(text, { headers: link === null ? {} : { link } });
  };

async function textOf(address: string, access: HubAccess) {
  const response = await request(address, access, { accept: 'application/json' });
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of bodyOf(response, access)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length <= MAX_ANSWER_BYTES) continue;
    throw wrongListing(address, `at most ${MAX_ANSWER_BYTES} bytes`, 'more');
  }
  // A link to the rest of a long listing may stand in the head.
  return { text: text + decoder.decode(), link: response.headers.get('link') };
}
