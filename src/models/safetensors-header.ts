// The safetensors header: 8-byte length, JSON, then one buffer that the tensors tile exactly. Every
// rule is checked here, before a byte of data is read, so a reader may trust the table it gets.
// Pure: bytes in, table out (format: the safetensors project's README). Reads no tensor data.
import { AnyformerError } from '../tensor/error.js';
import { parseJsonStrict } from './json-strict.js';
import { foreignFormat } from './safetensors-foreign.js';
import {
  checkEntry,
  checkMetadata,
  checkTiling,
  jsonObject,
  type SafetensorsEntry,
} from './safetensors-rules.js';

export type SafetensorsHeader = {
  /** In the order of the data. */
  entries: ReadonlyMap<string, SafetensorsEntry>;
  metadata: ReadonlyMap<string, string>;
  /** Where the data begin: 8 + header length. */
  dataStart: number;
};

export const MAX_HEADER_BYTES = 100_000_000;
const PREFIX = 8;

/**
 * The length of the JSON header that `start` (the first bytes of the file, 9 or more if the file has
 * them) announces. Errors: `safetensors/pickle`, `safetensors/foreign`, `safetensors/truncated`,
 * `safetensors/header-size`, `safetensors/header`.
 */
export function headerLength(start: Uint8Array, fileSize: number, file: string): number {
  const fail = (code: string, parts: { what: string; expected: string; found: string }): never => {
    throw foreignFormat(start, file) ?? new AnyformerError(`safetensors/${code}`, parts);
  };
  if (fileSize < PREFIX || start.byteLength < PREFIX) {
    return fail('truncated', {
      what: `${file} is too short for a safetensors file`,
      expected: 'at least 8 bytes and a header',
      found: `${fileSize} bytes`,
    });
  }
  const view = new DataView(start.buffer, start.byteOffset, PREFIX);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    return fail('header-size', {
      what: `${file} announces a header that is too long`,
      expected: `at most ${MAX_HEADER_BYTES} bytes`,
      found: `${length} bytes`,
    });
  }
  if (length > BigInt(fileSize - PREFIX)) {
    return fail('truncated', {
      what: `${file} ends inside its header`,
      expected: `8 + ${length} bytes of header`,
      found: `a file of ${fileSize} bytes`,
    });
  }
  if (length === 0n || (start.byteLength > PREFIX && start[PREFIX] !== 0x7b)) {
    return fail('header', {
      what: `${file} has no JSON header`,
      expected: "'{' as byte 9",
      found: length === 0n ? 'a header of 0 bytes' : `byte 0x${start[PREFIX].toString(16)}`,
    });
  }
  return Number(length);
}

/**
 * Checks `start` (the file's first bytes, the whole header among them) and gives its table.
 * `fileSize` is the size of the whole file. Besides the errors of `headerLength`: `json` errors under
 * `safetensors/` (`json`, `utf8`, `duplicate-key`, `depth`, `number`), `safetensors/entry`, `shape`,
 * `offsets`, `size` (dtype x shape against bytes), `overlap`, `gap`, `truncated`, `trailing`.
 */
export function parseSafetensorsHeader(
  start: Uint8Array,
  fileSize: number,
  file = 'safetensors file',
): SafetensorsHeader {
  const length = headerLength(start, fileSize, file);
  const dataStart = PREFIX + length;
  if (start.byteLength < dataStart) {
    throw new AnyformerError('safetensors/truncated', {
      what: `${file} ends inside its header`,
      expected: `${dataStart} bytes`,
      found: `${start.byteLength} bytes`,
    });
  }
  const json = parseJsonStrict(start.subarray(PREFIX, dataStart), {
    file: `the header of ${file}`,
    code: 'safetensors',
    maxBytes: MAX_HEADER_BYTES,
    maxDepth: 8,
    numbers: 'naturals',
  });
  const place = { file, dataStart, fileSize };
  const header = jsonObject(json, 'the header', file);
  const tensors: [string, SafetensorsEntry][] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(value, file);
    else tensors.push([name, checkEntry(name, value, place)]);
  }
  tensors.sort(([, a], [, b]) => a.offset - b.offset || a.length - b.length);
  checkTiling(tensors, place);
  return { entries: new Map(tensors), metadata, dataStart };
}
