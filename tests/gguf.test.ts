// GGUF by itself: what is written reads back, numbers lie within the bounds of their types, and files
// that are cut off, lying or random get an error of the right kind.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { byteTokenizer } from '../src/data/byte-level.js';
import { codecs } from '../src/models/gguf/codecs.js';
import { exportGguf, ggufModelTypes, planGgufExport } from '../src/models/gguf/export.js';
import { openGguf } from '../src/models/gguf/read.js';
import { halvesToPairs } from '../src/models/gguf/sources.js';
import type { GgufMetadata, GgufValue, WrittenType } from '../src/models/gguf/types.js';
import { planGguf, writeGguf } from '../src/models/gguf/write.js';
import { pairsToHalves } from '../src/models/import/tinystories.js';
import { initialModel } from '../src/models/initial.js';
import type { Model } from '../src/models/model.js';
import type { Device } from '../src/runtime/device.js';
import {
  AnyformerError,
  fromHalf,
  fromNumbers,
  type NDArray,
  toHalf,
} from '../src/tensor/index.js';
import { expectClose, seeded } from './support/arrays.js';
import { smallDecoder, smallEncoder } from './support/small-models.js';

let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'gguf-'));
});
afterAll(() => rm(place, { recursive: true }));
let count = 0;
const fresh = () => join(place, `${count++}.gguf`);

const types: readonly WrittenType[] = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0'];

const blocks = fc
  .array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 32, maxLength: 32 })
  .map((values) => Float32Array.from(values));

/** |rounded step - step| of float16: half a unit of its last place. */
const stepError = (step: number): number => Math.max(Math.abs(step) * 2 ** -11, 2 ** -25);

describe('blocks', () => {
  it('Q8_0: codes are whole parts of the largest magnitude over 127, to half a step', () => {
    fc.assert(
      fc.property(blocks, (values) => {
        const bytes = codecs.Q8_0.encode(values);
        expect(bytes.length).toBe(34);
        const step = Math.max(...values.map(Math.abs)) / 127;
        const view = new DataView(bytes.buffer);
        expect(Math.abs(fromHalf(view.getUint16(0, true)) - step)).toBeLessThanOrEqual(
          stepError(step) * 1.001,
        );
        const back = codecs.Q8_0.decode(bytes);
        values.forEach((x, i) => {
          expect(back[i]).toBe(
            Math.fround(view.getInt8(2 + i) * fromHalf(view.getUint16(0, true))),
          );
          const bound = step / 2 + 127 * stepError(step);
          expect(Math.abs(back[i] - x)).toBeLessThanOrEqual(bound * 1.001);
        });
      }),
    );
  });

  it('Q4_0: the extreme value lands on code 0, others within half a step, or one at the far end', () => {
    fc.assert(
      fc.property(blocks, (values) => {
        const bytes = codecs.Q4_0.encode(values);
        expect(bytes.length).toBe(18);
        const largest = Math.max(...values.map(Math.abs));
        const extreme = values.find((x) => Math.abs(x) === largest) ?? 0;
        const step = extreme / -8;
        const back = codecs.Q4_0.decode(bytes);
        const nibble = (i: number) => (bytes[2 + (i % 16)] >> (i < 16 ? 0 : 4)) & 15;
        if (largest > 1e-3) expect(nibble(values.indexOf(extreme))).toBe(0);
        values.forEach((x, i) => {
          const far = x / step > 7.5 ? 1 : 0.5;
          const bound = far * Math.abs(step) + 8 * stepError(step);
          expect(Math.abs(back[i] - x)).toBeLessThanOrEqual(bound * 1.001 + 1e-30);
        });
      }),
    );
  });

  it('a block of zeros is zeros, and what was decoded encodes to itself', () => {
    for (const type of types) {
      const zeros = codecs[type].encode(new Float32Array(64));
      expect(Array.from(codecs[type].decode(zeros), Math.abs)).toEqual(new Array(64).fill(0));
      // Steps that float16 holds exactly.
      const extremes = type === 'Q4_0' ? [-8, 6] : [127, -100];
      const values = Float32Array.from({ length: 32 }, (_, i) => extremes[i % 2] * 0.25);
      expect(codecs[type].decode(codecs[type].encode(values))).toEqual(values);
    }
  });

  it('floats round to the nearest of their type', () => {
    const values = Float32Array.from(seeded(3, 50), (x) => x * 1.2345);
    expect(codecs.F32.decode(codecs.F32.encode(values))).toEqual(values);
    expect(Array.from(codecs.F16.decode(codecs.F16.encode(values)))).toEqual(
      Array.from(values, (x) => fromHalf(toHalf(x))),
    );
    expectClose(codecs.BF16.decode(codecs.BF16.encode(values)), values, 2 ** -8);
  });
});

const metadata: GgufMetadata = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'none' }],
  ['numbers.u8', { type: 'u8', value: 255 }],
  ['numbers.i8', { type: 'i8', value: -128 }],
  ['numbers.u16', { type: 'u16', value: 65535 }],
  ['numbers.i16', { type: 'i16', value: -32768 }],
  ['numbers.u32', { type: 'u32', value: 2 ** 32 - 1 }],
  ['numbers.i32', { type: 'i32', value: -(2 ** 31) }],
  ['numbers.u64', { type: 'u64', value: 2n ** 64n - 1n }],
  ['numbers.i64', { type: 'i64', value: -(2n ** 63n) }],
  ['numbers.f32', { type: 'f32', value: 0.5 }],
  ['numbers.f64', { type: 'f64', value: 0.1 }],
  ['a bool', { type: 'bool', value: true }],
  ['words', { type: 'array', of: 'string', value: ['', 'é', '日本', 'x'.repeat(3000)] }],
  ['nothing', { type: 'array', of: 'f32', value: [] }],
  ['nested', { type: 'array', of: 'array', value: [{ type: 'array', of: 'i32', value: [1, -2] }] }],
]);

const tensors = types.map((type, i) => ({ name: `t.${type}`, type, shape: [3 + i, 64] }));
const dataOf = (name: string): NDArray => {
  const { shape } = tensors.find((t) => t.name === name) ?? { shape: [0] };
  return fromNumbers('f32', shape, seeded(name.length, shape[0] * 64));
};

describe('files', () => {
  it('read back as they were written', async () => {
    const path = fresh();
    const written = await writeGguf(path, { metadata, tensors, read: dataOf });
    expect(written.bytes).toBe((await readFile(path)).length);
    await using file = await openGguf(path);
    expect(file.version).toBe(3);
    expect(file.metadata).toEqual(metadata);
    expect([...file.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
    for (const { name, type, shape } of tensors) {
      const entry = file.tensors.get(name);
      expect(entry).toMatchObject({ shape, type: { name: type } });
      expect((entry?.offset ?? 1) % 32).toBe(0);
      const values = dataOf(name).data as Float32Array;
      expect(await file.bytes(name)).toEqual(codecs[type].encode(values));
      expect((await file.read(name)).data).toEqual(
        codecs[type].decode(codecs[type].encode(values)),
      );
    }
    await expect(file.read('t.F31')).rejects.toThrow(/nearest: 't.F32'|nearest: "t.F32"/);
  });

  it('with a vocabulary of any size', async () => {
    const path = fresh();
    const words = Array.from({ length: 20_000 }, (_, i) => 'é'.repeat(i % 40));
    const large = new Map<string, GgufValue>([
      ['words', { type: 'array', of: 'string', value: words }],
      ['scores', { type: 'array', of: 'f32', value: words.map((_, i) => -i) }],
      ['flags', { type: 'array', of: 'bool', value: words.map((_, i) => i % 3 === 0) }],
      ['long', { type: 'string', value: 'x'.repeat(3_000_000) }],
    ]);
    await writeGguf(path, { metadata: large, tensors, read: dataOf });
    await using file = await openGguf(path);
    expect(file.metadata).toEqual(large);
    expect((await file.read('t.F32')).data).toEqual(dataOf('t.F32').data);
  });

  it('are those of the plan, whatever type the weights are stored in', async () => {
    const plan = planGguf(metadata, tensors);
    const half = fresh();
    const read = (name: string) => {
      const { shape, data } = dataOf(name);
      return fromNumbers('f16', shape, data as Float32Array);
    };
    expect((await writeGguf(half, { metadata, tensors, read })).bytes).toBe(plan.bytes);
  });

  it.each([
    [
      'gguf/name',
      [
        { name: 'a', type: 'F32', shape: [1] },
        { name: 'a', type: 'F32', shape: [1] },
      ],
    ],
    ['gguf/name', [{ name: 'x'.repeat(64), type: 'F32', shape: [1] }]],
    ['gguf/name', [{ name: '', type: 'F32', shape: [1] }]],
    ['gguf/shape', [{ name: 'a', type: 'Q8_0', shape: [4, 33] }]],
    ['gguf/shape', [{ name: 'a', type: 'F32', shape: [] }]],
    ['gguf/shape', [{ name: 'a', type: 'F32', shape: [1, 1, 1, 1, 1] }]],
    ['gguf/shape', [{ name: 'a', type: 'F32', shape: [0, 3] }]],
  ] as const)('%s', (code, wrong) => {
    expect(() => planGguf(new Map(), wrong)).toThrow(expect.objectContaining({ code }));
  });

  it('are not written with numbers that the type cannot hold, nor with too few', async () => {
    const one = (type: WrittenType, values: number[]) =>
      writeGguf(fresh(), {
        metadata: new Map(),
        tensors: [{ name: 'w', type, shape: [1, 32] }],
        read: () => fromNumbers('f32', [values.length], values),
      });
    const filled = (x: number) => [...new Array<number>(31).fill(1), x];
    for (const [type, x] of [
      ['F16', 65505],
      ['Q8_0', Number.NaN],
      ['Q4_0', Number.POSITIVE_INFINITY],
    ] as const) {
      await expect(one(type, filled(x))).rejects.toMatchObject({ code: 'gguf/value' });
    }
    await one('F32', filled(Number.NaN));
    await expect(one('F32', [1, 2])).rejects.toMatchObject({ code: 'gguf/size' });
  });
});

describe('hostile files', () => {
  let sound: Uint8Array;
  beforeAll(async () => {
    const path = fresh();
    await writeGguf(path, { metadata, tensors: tensors.slice(0, 2), read: dataOf });
    sound = new Uint8Array(await readFile(path));
  });

  /** Opens bytes and reads all of it; an error must be of the kinds that are announced. */
  async function outcome(bytes: Uint8Array): Promise<string> {
    const path = fresh();
    await writeFile(path, bytes);
    try {
      await using file = await openGguf(path);
      for (const name of file.tensors.keys()) await file.read(name);
      return 'read';
    } catch (error) {
      expect(error, String(error)).toBeInstanceOf(AnyformerError);
      const { code } = error as AnyformerError;
      expect(code).toMatch(/^gguf\//);
      return code;
    } finally {
      await rm(path);
    }
  }

  it('cut off anywhere', async () => {
    const places = [...Array(200).keys(), ...Array.from({ length: 60 }, (_, i) => 200 + i * 97)];
    for (const end of places.filter((at) => at < sound.length)) {
      expect(await outcome(sound.slice(0, end)), `${end} bytes`).toMatch(/truncated|format|offset/);
    }
  });

  it('with bytes changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3600), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          const bytes = sound.slice();
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          await outcome(bytes);
        },
      ),
      { numRuns: 300 },
    );
  });

  /** The sound header's beginning, then what follows. */
  const file = (...parts: (number | bigint | string)[]): Uint8Array => {
    const out: number[] = [];
    const put = (value: bigint, bytes: number) => {
      for (let i = 0; i < bytes; i++) out.push(Number((value >> BigInt(8 * i)) & 255n));
    };
    for (const part of parts) {
      if (typeof part === 'number') put(BigInt(part), 4);
      else if (typeof part === 'bigint') put(part, 8);
      else {
        put(BigInt(part.length), 8);
        out.push(...[...part].map((c) => c.charCodeAt(0)));
      }
    }
    return Uint8Array.from(out);
  };
  const GGUF = 0x46554747;
  const huge = 2n ** 63n;

  it.each([
    ['gguf/format', file(0x47475546, 3, 0n, 0n)],
    ['gguf/format', file(GGUF, 1, 0n, 0n)],
    ['gguf/format', file(GGUF, 3 << 24, 0n, 0n)],
    ['gguf/limit', file(GGUF, 3, huge, 0n)],
    ['gguf/limit', file(GGUF, 3, 0n, huge)],
    ['gguf/truncated', file(GGUF, 3, 1000n, 0n)],
    ['gguf/limit', file(GGUF, 3, 0n, 1n, huge, 0, 0, 0)],
    ['gguf/truncated', file(GGUF, 3, 0n, 1n, 1000n, 0, 0, 0)],
    ['gguf/value', file(GGUF, 3, 0n, 1n, 'k', 99, 0n, 0n)],
    ['gguf/limit', file(GGUF, 3, 0n, 1n, 'k', 9, 0, huge)],
    ['gguf/truncated', file(GGUF, 3, 0n, 1n, 'k', 9, 8, 1000n, 0n)],
    ['gguf/limit', file(GGUF, 3, 0n, 1n, 'k', 9, 9, 1n, 9, 1n, 9, 1n, 9, 1n, 9, 1n, 0, 0n)],
    ['gguf/duplicate', file(GGUF, 3, 0n, 2n, 'k', 4, 1, 'k', 4, 1, 0n)],
    ['gguf/value', file(GGUF, 3, 0n, 1n, 'general.alignment', 4, 7, 0n)],
    ['gguf/value', file(GGUF, 3, 0n, 1n, 'general.alignment', 4, 0, 0n)],
    ['gguf/shape', file(GGUF, 3, 1n, 0n, 't', 1, 0n, 0, 0n, 0n, 0n, 0n, 0n)],
    ['gguf/shape', file(GGUF, 3, 1n, 0n, 't', 2, huge, huge, 0, 0n, 0n, 0n, 0n)],
    ['gguf/shape', file(GGUF, 3, 1n, 0n, 't', 9, 1n, 1n, 1n, 1n, 1n, 0, 0n)],
    ['gguf/shape', file(GGUF, 3, 1n, 0n, 't', 1, 33n, 8, 0n, 0n, 0n, 0n, 0n)],
    ['gguf/type', file(GGUF, 3, 1n, 0n, 't', 1, 32n, 77, 0n, 0n, 0n, 0n, 0n)],
    ['gguf/offset', file(GGUF, 3, 1n, 0n, 't', 1, 1n, 0, 3n, 0n, 0n, 0n, 0n)],
    ['gguf/truncated', file(GGUF, 3, 1n, 0n, 't', 1, 1000n, 0, 0n, 0n, 0n, 0n, 0n)],
    ['gguf/offset', file(GGUF, 3, 2n, 0n, 't', 1, 1n, 0, 0n, 'u', 1, 1n, 0, 0n, 0n, 0n, 0n, 0n)],
    ['gguf/type', file(GGUF, 3, 1n, 0n, 't', 1, 256n, 14, 0n, ...new Array<bigint>(40).fill(0n))],
  ])('%s %#', async (code, bytes) => {
    expect(await outcome(bytes)).toBe(code);
  });

  it('text that is no UTF-8', async () => {
    const bytes = file(GGUF, 3, 0n, 1n, 'k', 8, 'ab', 0n);
    bytes[bytes.length - 9] = 0xff;
    expect(await outcome(bytes)).toBe('gguf/text');
  });
});

const bytesOf = (model: Model): Model => ({ ...model, tokenizer: byteTokenizer() });

describe('models', () => {
  const config = {
    model_type: 'llama',
    vocab_size: 260,
    hidden_size: 64,
    intermediate_size: 80,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
  };
  const llama = bytesOf(initialModel({ name: 'small', config }));

  it('queries and keys go from halves to pairs, and back by the rule of another format', async () => {
    const path = fresh();
    await exportGguf(llama, path, { type: 'f32' });
    await using file = await openGguf(path);
    for (const [theirs, ours, heads] of [
      ['attn_q', 'q_proj', 4],
      ['attn_k', 'k_proj', 2],
    ] as const) {
      const stored = await file.read(`blk.0.${theirs}.weight`);
      const before = await llama.weights.read(`model.layers.0.self_attn.${ours}.weight`);
      expect(stored.data).not.toEqual(before.data);
      expect(pairsToHalves(stored, heads).data).toEqual(before.data);
    }
    expect([0, 1, 2, 3, 4, 5].map(halvesToPairs(6))).toEqual([0, 2, 4, 1, 3, 5]);
  });

  it('rows that are no whole blocks stay f16; norms f32; scores are spared 4 bits', async () => {
    const { plan } = planGgufExport(llama, 'q4_0');
    const typeOf = (name: string) => plan.tensors.find((t) => t.name === name)?.type;
    expect(typeOf('blk.0.ffn_down.weight')).toBe('F16');
    expect(typeOf('blk.0.ffn_up.weight')).toBe('Q4_0');
    expect(typeOf('blk.0.attn_norm.weight')).toBe('F32');
    expect(typeOf('output.weight')).toBe('Q8_0');
    expect(typeOf('token_embd.weight')).toBe('Q4_0');
  });

  it('rows without a token are filled up with unused ones', () => {
    const { metadata: made } = planGgufExport(llama);
    expect(made.get('tokenizer.ggml.tokens')?.value).toHaveLength(260);
    const kinds = made.get('tokenizer.ggml.token_type')?.value as number[];
    expect(kinds.slice(-3)).toEqual([5, 5, 5]);
  });

  const small = smallDecoder();
  const withConfig = (more: object): Model => ({ ...llama, config: { ...llama.config, ...more } });
  const withTokenizer = (edit: (file: Record<string, Record<string, unknown>>) => void): Model => {
    const files = structuredClone(byteTokenizer().files);
    edit(files.tokenizer as Record<string, Record<string, unknown>>);
    return { ...llama, tokenizer: { ...byteTokenizer(), files } };
  };

  it.each<[string, string, Model]>([
    ['a family it does not take', 'export/family', smallEncoder()],
    ['no tokenizer', 'export/vocabulary', { ...llama, tokenizer: undefined }],
    ['a unigram tokenizer', 'export/vocabulary', small],
    ['another activation', 'export/unsupported', withConfig({ hidden_act: 'gelu' })],
    [
      'yarn of another amplitude',
      'export/unsupported',
      withConfig({ rope_scaling: { rope_type: 'yarn', factor: 2, attention_factor: 2 } }),
    ],
    [
      'a space before texts',
      'export/vocabulary',
      withTokenizer((f) => {
        f.pre_tokenizer.add_prefix_space = true;
      }),
    ],
    [
      'a normalizer',
      'export/vocabulary',
      withTokenizer((f) => {
        f.normalizer = { type: 'Lowercase' };
      }),
    ],
    [
      'a pattern of its own',
      'export/vocabulary',
      withTokenizer((f) => {
        f.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: 'x+' }, behavior: 'Isolated' },
            { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
          ],
        };
      }),
    ],
    [
      'fewer rows than tokens',
      'export/vocabulary',
      bytesOf(initialModel({ name: 'small', config: { ...config, vocab_size: 100 } })),
    ],
  ])('refused: %s', (_, code, model) => {
    try {
      planGgufExport(model);
      expect.fail('it was planned');
    } catch (error) {
      expect(error).toMatchObject({ code });
      if (code === 'export/family')
        for (const t of ggufModelTypes) expect(String(error)).toContain(t);
    }
  });

  it('refused: compressed weights', async () => {
    // The pass needs no device.
    const context = { device: undefined as unknown as Device };
    const model = await applyChain(llama, parseChain('int8'), context);
    expect(() => planGgufExport(model)).toThrow(
      expect.objectContaining({ code: 'export/compressed' }),
    );
  });
});
