// WAV files (RIFF): PCM of 8 to 32 bits and floats, any rate, any number of channels. A reader of our
// own because the packages that read WAV have had no release for years; files from outside are checked
// chunk by chunk. Compressed codecs are refused by name.
import { readFile } from '#platform';
import { AnyformerError } from '../tensor/error.js';

export type Sound = {
  /** Samples a second. */
  readonly rate: number;
  /** Samples in [-1, 1], as many for each channel. */
  readonly channels: readonly Float32Array<ArrayBuffer>[];
};

const MOST_CHANNELS = 64;
const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
const codecs: Readonly<Record<number, string>> = {
  2: 'ADPCM',
  6: 'A-law',
  7: 'mu-law',
  17: 'IMA ADPCM',
  49: 'GSM',
  85: 'MP3',
};

/** Errors: `data/wav`, and those of reading files. */
export const readWav = async (path: string): Promise<Sound> =>
  decodeWav(await readFile(path), path);

/** The sound in the bytes of a WAV file; `file` is for messages. Errors: `data/wav`. */
export function decodeWav(bytes: Uint8Array, file = 'the file'): Sound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (expected: string, found: string, hint?: string) =>
    new AnyformerError('data/wav', {
      what: `${file} is not a WAV file that is read here`,
      expected,
      found,
      hint,
    });
  const name = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || name(0) !== 'RIFF' || name(8) !== 'WAVE') {
    const hint = 'convert it: ffmpeg -i FILE -ar 16000 -ac 1 OUT.wav';
    throw refuse('RIFF and WAVE at the beginning', kindOf(bytes), hint);
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [chunk, told, start] = [name(at), view.getUint32(at + 4, true), at + 8];
    const left = bytes.length - start;
    if (chunk === 'fmt ') {
      if (told < 16 || told > left) throw refuse('a whole format chunk', `${told} bytes`);
      format = readFormat(view, start, told);
      const wrong = problemOf(format);
      if (wrong) throw refuse(wrong.expected, wrong.found);
    } else if (chunk === 'data') {
      if (!format) throw refuse('a format before the samples', 'none');
      // Programs that write as they record tell no size, or the largest.
      const length = told === 0xffffffff || (told === 0 && left > 0) ? left : told;
      if (length > left) {
        throw refuse(`${length} bytes of samples`, `${left} bytes`, 'the file was cut short');
      }
      return samplesOf(view, start, length, format);
    }
    at = start + told + (told % 2);
  }
  throw refuse('samples', format ? 'a format and no samples' : 'neither format nor samples');
}

type Format = { codec: number; channels: number; rate: number; frameBytes: number; bits: number };

function readFormat(view: DataView, at: number, bytes: number): Format {
  const tag = view.getUint16(at, true);
  // The extensible format names the codec at the start of a long identifier.
  const codec = tag === EXTENSIBLE && bytes >= 40 ? view.getUint16(at + 24, true) : tag;
  return {
    codec,
    channels: view.getUint16(at + 2, true),
    rate: view.getUint32(at + 4, true),
    frameBytes: view.getUint16(at + 12, true),
    bits: view.getUint16(at + 14, true),
  };
}

function problemOf(f: Format): { expected: string; found: string } | undefined {
  const sizes = f.codec === PCM ? [8, 16, 24, 32] : f.codec === FLOAT ? [32, 64] : undefined;
  if (!sizes) {
    const codec = codecs[f.codec] ?? `codec ${f.codec}`;
    return { expected: 'PCM or floats', found: codec };
  }
  if (!sizes.includes(f.bits)) {
    return { expected: `samples of ${sizes.join(', ')} bits`, found: `${f.bits} bits` };
  }
  if (f.channels < 1 || f.channels > MOST_CHANNELS) {
    return { expected: `1 to ${MOST_CHANNELS} channels`, found: `${f.channels}` };
  }
  if (f.rate < 1000 || f.rate > 1_000_000) {
    return { expected: '1,000 to 1,000,000 samples a second', found: `${f.rate}` };
  }
  const frame = (f.channels * f.bits) / 8;
  if (f.frameBytes === frame) return undefined;
  return { expected: `${frame} bytes for all channels of a sample`, found: `${f.frameBytes}` };
}

/** Whole frames only: a torn last one is left. */
function samplesOf(view: DataView, start: number, length: number, f: Format): Sound {
  const frames = Math.floor(length / f.frameBytes);
  const read = readers[`${f.codec}:${f.bits}`];
  const channels = Array.from({ length: f.channels }, (_, channel) => {
    const samples = new Float32Array(frames);
    let at = start + (channel * f.bits) / 8;
    for (let i = 0; i < frames; i++, at += f.frameBytes) samples[i] = read(view, at);
    return samples;
  });
  return { rate: f.rate, channels };
}

const readers: Readonly<Record<string, (view: DataView, at: number) => number>> = {
  '1:8': (view, at) => (view.getUint8(at) - 128) / 2 ** 7,
  '1:16': (view, at) => view.getInt16(at, true) / 2 ** 15,
  '1:24': (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23,
  '1:32': (view, at) => view.getInt32(at, true) / 2 ** 31,
  '3:32': (view, at) => view.getFloat32(at, true),
  '3:64': (view, at) => view.getFloat64(at, true),
};

const magics: readonly (readonly [prefix: string, name: string])[] = [
  ['RF64', 'RF64, for files beyond 4 GB'],
  ['fLaC', 'FLAC'],
  ['OggS', 'Ogg'],
  ['ID3', 'MP3'],
  ['\xff\xfb', 'MP3'],
  ['FORM', 'AIFF'],
  ['caff', 'CAF'],
];

function kindOf(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  if (start.slice(4, 8) === 'ftyp') return 'MP4 or M4A';
  return magics.find(([prefix]) => start.startsWith(prefix))?.[1] ?? 'something else';
}
