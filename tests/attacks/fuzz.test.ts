// Random and mutated files: the reader answers with a table or with an AnyformerError, nothing else, and
// whatever it accepts is exactly tiled.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { checkConfig, parseConfig } from '../../src/models/config-file.js';
import { parseJsonStrict } from '../../src/models/json-strict.js';
import { parseSafetensorsHeader } from '../../src/models/safetensors-header.js';
import { parseSafetensorsIndex } from '../../src/models/safetensors-index.js';
import { encodeSafetensors } from '../../src/models/safetensors-write.js';
import { zerosOf } from '../../src/tensor/array.js';
import { AnyformerError } from '../../src/tensor/error.js';
import { craft } from './craft.js';

const RUNS = Number(process.env.FUZZ_RUNS ?? 3000);

/** What a caller may rely on after acceptance. Returns whether the file was accepted. */
function survives(bytes: Uint8Array): boolean {
  let header: ReturnType<typeof parseSafetensorsHeader>;
  try {
    header = parseSafetensorsHeader(bytes, bytes.length, 'fuzz');
  } catch (error) {
    if (!(error instanceof AnyformerError)) throw error;
    expect(error.code).toMatch(/^safetensors\//);
    return false;
  }
  let end = header.dataStart;
  for (const { offset, length, shape } of header.entries.values()) {
    expect(offset).toBe(end);
    expect(shape.every((d) => Number.isSafeInteger(d) && d >= 0)).toBe(true);
    end += length;
  }
  expect(end).toBe(bytes.length);
  return true;
}

const valid = (() => {
  const { chunks } = encodeSafetensors(
    [
      ['model.layers.0.weight', zerosOf('f32', [2, 3])],
      ['model.layers.0.bias', zerosOf('bf16', [3])],
      ['mask', zerosOf('bool', [5])],
      ['none', zerosOf('i64', [0, 7])],
    ],
    [['format', 'pt']],
  );
  return Buffer.concat([...chunks]);
})();

test('random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void survives(bytes)),
    { numRuns: RUNS },
  );
});

test('random bytes behind a true length and a brace', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(20), (bytes, data) => {
      survives(craft({ header: Uint8Array.of(0x7b, ...bytes), data }));
    }),
    { numRuns: RUNS },
  );
});

test('a valid file with bytes changed, taken out, put in', () => {
  const edit = fc.record({
    at: fc.nat(valid.length - 1),
    remove: fc.nat(3),
    insert: fc.uint8Array({ maxLength: 3 }),
  });
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let bytes: Uint8Array = valid;
      for (const { at, remove, insert } of edits) {
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      }
      if (survives(bytes)) accepted++;
    }),
    { numRuns: RUNS },
  );
  // Edits of names and data leave a valid file: the fuzzing reaches both sides.
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThan(RUNS / 2);
});

test('headers made of the right words in wrong places', () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('F32', 'F4', 'BOOL', '', '__proto__'),
      fc.constantFrom(0, 1, 4, 8, 2 ** 32, 2 ** 53, 2 ** 63, -1, 0.5),
      fc.constantFrom(null, true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom('dtype', 'shape', 'data_offsets', '__metadata__', 'w', '__proto__'),
        tie('value'),
        { maxKeys: 4 },
      ),
    ),
  }));
  const entry = fc.record({
    dtype: fc.oneof(fc.constantFrom('F32', 'F16', 'U8', 'F4', 'XX'), value),
    shape: fc.oneof(fc.array(fc.constantFrom(0, 1, 2, 2 ** 32, 2 ** 40)), value),
    data_offsets: fc.oneof(fc.tuple(fc.nat(16), fc.nat(16)), value),
  });
  const header = fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(entry, value), { maxKeys: 4 });
  fc.assert(
    fc.property(header, fc.nat(16), (json, data) => {
      survives(craft({ header: JSON.stringify(json), data }));
    }),
    { numRuns: RUNS },
  );
});

test('configurations against a schema', () => {
  const schema = z.strictObject({
    width: z.int().positive(),
    kind: z.union([z.literal('a'), z.object({ n: z.number().max(3) })]),
    layers: z.array(z.record(z.string(), z.int().multipleOf(2))).max(2),
  });
  const config = fc.record(
    { width: fc.jsonValue(), kind: fc.jsonValue(), layers: fc.jsonValue(), extra: fc.jsonValue() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), config), (json) => {
      try {
        checkConfig(schema, parseConfig(JSON.stringify(json), 'fuzz'), 'fuzz');
      } catch (error) {
        expect(error).toBeInstanceOf(AnyformerError);
      }
    }),
    { numRuns: RUNS },
  );
});

test('index files', () => {
  const name = fc.oneof(fc.string(), fc.constantFrom('../x', 'a.safetensors'), fc.jsonValue());
  const index = fc.oneof(
    fc.jsonValue(),
    fc.record({ weight_map: fc.dictionary(fc.string(), name) }),
  );
  fc.assert(
    fc.property(index, (json) => {
      try {
        parseSafetensorsIndex(parseJsonStrict(JSON.stringify(json), { file: 'fuzz' }), 'fuzz');
      } catch (error) {
        expect(error).toBeInstanceOf(AnyformerError);
      }
    }),
    { numRuns: RUNS },
  );
});
