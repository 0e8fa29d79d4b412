// Every row of the op table: its shape rule and its reference kernel against independent definitions.
// A row that no case covers fails here, so that none is added untested.
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expectClose } from '../../../tests/support/arrays.js';
import { type OpCase, opCases, opRefusals } from '../../../tests/support/op-cases/index.js';
import { AnyformerError, dtypes, graph, input, interpret, type OpRow, Tensor } from '../index.js';

const isRow = (value: unknown): value is OpRow =>
  typeof value === 'object' && value !== null && 'infer' in value && 'lower' in value;

/** The rows that the modules of this folder export, alone or in records. */
async function exportedRows(): Promise<Map<string, OpRow>> {
  const rows = new Map<string, OpRow>();
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) =>
    /^[a-z-]+\.ts$/.test(name),
  );
  for (const file of files) {
    const module: Record<string, unknown> = await import(/* @vite-ignore */ `./${file}`);
    const found = Object.values(module).flatMap((value) =>
      isRow(value) ? [value] : typeof value === 'object' && value ? Object.values(value) : [],
    );
    for (const row of found.filter(isRow)) {
      expect(rows.get(row.name) ?? row, `two rows are called ${row.name}`).toBe(row);
      rows.set(row.name, row);
    }
  }
  return rows;
}

function run({ inputs, shapes, build }: OpCase) {
  const leaves = Object.fromEntries(
    Object.entries(inputs).map(([name, array]) => [
      name,
      input(name, array.dtype, shapes?.[name] ?? array.shape),
    ]),
  );
  const made = build(leaves);
  const outputs = made instanceof Tensor ? [made] : made;
  // The inputs are results too, so that one whose size alone is used stays in the graph.
  const g = graph({ ...Object.fromEntries(outputs.entries()), ...leaves });
  return { g, outputs, results: interpret(g, inputs).outputs };
}

describe('the op table', async () => {
  const rows = await exportedRows();

  it('is found', () => {
    expect(rows.size).toBeGreaterThan(75);
  });

  // Values of parameters are given beside the inputs: interpret.test.ts.
  const elsewhere = new Set(['parameter']);

  it.each([...rows.keys()].filter((name) => !elsewhere.has(name)))('%s has cases', (name) => {
    expect(opCases.filter(({ row }) => row === name)).not.toEqual([]);
  });

  it.each([...rows.keys()])('%s is written in full', (name) => {
    const row = rows.get(name);
    const leaf = name === 'input' || name === 'parameter';
    expect(typeof row?.evaluate).toBe(leaf ? 'undefined' : 'function');
    expect(name).toMatch(/^[a-z][A-Za-z]*$/);
  });

  it('knows every row that a case names', () => {
    const named = [...opCases, ...opRefusals].map(({ row }) => row);
    expect(named.filter((name) => !rows.has(name))).toEqual([]);
  });
});

describe('the reference kernels agree with independent definitions', () => {
  it.each(opCases.map((test) => [`${test.row}: ${test.what}`, test] as const))(
    '%s',
    (name, test) => {
      const { g, outputs, results } = run(test);
      expect(g.nodes.some(({ row }) => row.name === test.row) || test.values.length === 0).toBe(
        true,
      );
      const types = [test.type].flat();
      const values = (
        typeof test.type === 'string' ? [test.values] : test.values
      ) as readonly (readonly (number | bigint)[])[];
      types.forEach((type, i) => {
        expect(String(outputs[i])).toBe(type);
        const result = results.get(String(i));
        if (!result) expect.fail('no output');
        expect(result.dtype).toBe(outputs[i].dtype);
        if (dtypes[result.dtype].wide) {
          expect(Array.from(result.data as BigInt64Array)).toEqual(values[i].map(BigInt));
          return;
        }
        const numbers = result.dtype === 'f16' ? halves(result.data as Uint16Array) : result.data;
        expectClose(
          Array.from(numbers as Float64Array, Number),
          values[i].map(Number),
          test.tolerance ?? 0,
          name,
        );
      });
    },
  );
});

/** f16 by its definition: (-1)^s 2^(e - 15) (1 + f / 1024), subnormal where e = 0. */
const halves = (bits: Uint16Array): number[] =>
  Array.from(bits, (b) => {
    const [sign, e, f] = [b >> 15 ? -1 : 1, (b >> 10) & 31, b & 1023];
    if (e === 31) return f ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (e === 0 ? f / 2 ** 24 : (1 + f / 1024) * 2 ** (e - 15));
  });

describe('what the rows refuse', () => {
  it.each(opRefusals.map((test) => [`${test.row}: ${test.what}`, test] as const))(
    '%s',
    (_, { build, message }) => {
      let error: unknown;
      try {
        build();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(AnyformerError);
      expect((error as AnyformerError).message).toMatch(message);
      expect((error as AnyformerError).expected).toBeTruthy();
    },
  );
});
