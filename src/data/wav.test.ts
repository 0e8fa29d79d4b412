// WAV files written here byte by byte, damaged ones among them, and resampling against known waves.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mixDown, monoAt, resample } from './resample.js';
import { decodeWav } from './wav.js';

type Parts = {
  codec?: number;
  channels?: number;
  rate?: number;
  bits?: number;
  data?: number[];
  told?: number;
  before?: [string, number[]][];
};

const text = (s: string) => [...s].map((c) => c.charCodeAt(0));
const little = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);

function wav(p: Parts = {}): Uint8Array<ArrayBuffer> {
  const { codec = 1, channels = 1, rate = 16000, bits = 16, data = [0, 0, 1, 0], before = [] } = p;
  const frame = (channels * bits) / 8;
  const chunk = (name: string, body: number[], told = body.length) => [
    ...text(name),
    ...little(told, 4),
    ...body,
    ...(body.length % 2 ? [0] : []),
  ];
  const format = [
    ...little(codec, 2),
    ...little(channels, 2),
    ...little(rate, 4),
    ...little(rate * frame, 4),
    ...little(frame, 2),
    ...little(bits, 2),
  ];
  const body = [
    ...text('WAVE'),
    ...before.flatMap(([name, bytes]) => chunk(name, bytes)),
    ...chunk('fmt ', format),
    ...chunk('LIST', [1, 2, 3]),
    ...chunk('data', data, p.told ?? data.length),
  ];
  return Uint8Array.from([...text('RIFF'), ...little(body.length, 4), ...body]);
}

describe('WAV', () => {
  it.each([
    [8, [0, 128, 255], [-1, 0, 127 / 128]],
    [16, [0, 128, 255, 127, 255, 255], [-1, 32767 / 32768, -1 / 32768]],
    [24, [0, 0, 128, 255, 255, 127, 255, 255, 255], [-1, 1 - 2 ** -23, -(2 ** -23)]],
    [32, [0, 0, 0, 128, 0, 0, 0, 64], [-1, 0.5]],
  ])('of %i bits', (bits, data, wanted) => {
    const { rate, channels } = decodeWav(wav({ bits, data, rate: 8000 }));
    expect(rate).toBe(8000);
    expect([...channels[0]]).toEqual(wanted.map(Math.fround));
  });

  it('of floats, in two channels, with other chunks about', () => {
    const bytes = new Uint8Array(new Float32Array([0.25, -0.5, 1, 0]).buffer);
    const file = wav({
      codec: 3,
      bits: 32,
      channels: 2,
      data: [...bytes],
      before: [['junk', [9]]],
    });
    const sound = decodeWav(file);
    expect(sound.channels.map((c) => [...c])).toEqual([
      [0.25, 1],
      [-0.5, 0],
    ]);
    expect([...mixDown(sound)]).toEqual([-0.125, 0.5]);
  });

  it('whose writer did not know how long it would be', () => {
    expect([...decodeWav(wav({ told: 0xffffffff })).channels[0]]).toEqual([0, 1 / 32768]);
    expect([...decodeWav(wav({ told: 0 })).channels[0]]).toEqual([0, 1 / 32768]);
  });

  it.each([
    [wav({ codec: 7, bits: 8 }), /mu-law/],
    [wav({ codec: 85 }), /MP3/],
    [wav({ bits: 12 }), /12 bits/],
    [wav({ channels: 0 }), /1 to 64 channels/],
    [wav({ rate: 7 }), /samples a second/],
    [wav({ told: 400 }), /400 bytes/],
    [wav().slice(0, 30), /format/],
    [wav().slice(0, 40), /samples/],
    [Uint8Array.from([...text('fLaC'), ...new Array(40).fill(0)]), /FLAC/],
    [Uint8Array.from([0, 0, 0, 24, ...text('ftypM4A '), 0, 0]), /MP4/],
    [new Uint8Array(), /empty/],
  ])('is refused where it is none (%#)', (bytes, says) => {
    expect(() => decodeWav(bytes, 'x.wav')).toThrow(expect.objectContaining({ code: 'data/wav' }));
    expect(() => decodeWav(bytes, 'x.wav')).toThrow(says);
  });

  it('is read or refused, never anything else', () => {
    const good = [...wav({ channels: 2, data: [1, 2, 3, 4, 5, 6, 7, 8] })];
    const damage = fc.array(
      fc.record({ at: fc.nat(good.length - 1), value: fc.integer({ min: 0, max: 255 }) }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(damage, fc.nat(good.length), (changes, length) => {
        const bytes = Uint8Array.from(good);
        for (const { at, value } of changes) bytes[at] = value;
        try {
          decodeWav(bytes.slice(0, length));
        } catch (error) {
          expect(error).toMatchObject({ code: 'data/wav' });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('resampling', () => {
  const tone = (hertz: number, rate: number, seconds = 0.5) =>
    Float32Array.from({ length: rate * seconds }, (_, i) =>
      Math.sin((2 * Math.PI * hertz * i) / rate),
    );
  /** The largest difference away from the ends. */
  const miss = (a: Float32Array, b: Float32Array) => {
    expect(a.length).toBe(b.length);
    let most = 0;
    for (let i = 400; i < a.length - 400; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
    return most;
  };

  it.each([
    [8000, 16000, 3400],
    [44100, 16000, 5000],
    [48000, 16000, 6800],
    [22050, 16000, 440],
    [16000, 8000, 3000],
    [11025, 16000, 1000],
  ])('%i -> %i keeps a tone of %i Hz', (from, to, hertz) => {
    expect(miss(resample(tone(hertz, from), from, to), tone(hertz, to))).toBeLessThan(1e-3);
  });

  it('takes out what the new rate cannot hold', () => {
    const gone = resample(tone(9000, 48000), 48000, 16000);
    expect(miss(gone, new Float32Array(gone.length))).toBeLessThan(1e-3);
  });

  it('leaves silence, constants and equal rates alone', () => {
    const flat = resample(new Float32Array(2000).fill(0.5), 44100, 16000);
    expect(miss(flat, new Float32Array(flat.length).fill(0.5))).toBeLessThan(1e-6);
    const samples = tone(440, 16000);
    expect(monoAt({ rate: 16000, channels: [samples] }, 16000)).toBe(samples);
    expect(resample(new Float32Array(0), 8000, 16000)).toHaveLength(0);
  });
});
