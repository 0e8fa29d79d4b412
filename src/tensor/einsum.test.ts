import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectClose, randomArray, reader, table } from '../../tests/support/arrays.js';
import {
  AnyformerError,
  einsum,
  graph,
  input,
  interpret,
  type NDArray,
  toNumbers,
  within,
} from './index.js';

const sizes: Readonly<Record<string, number>> = { a: 2, b: 3, c: 1, d: 4, e: 2 };
const shapeOf = (axes: string): number[] => [...axes].map((axis) => sizes[axis]);

/** The sum over every letter that the output lacks, of the product of all operands. */
function naive(inputs: readonly string[], output: string, arrays: readonly NDArray[]): number[] {
  const readers = arrays.map(reader);
  const summed = [...new Set(inputs.join(''))].filter((axis) => !output.includes(axis)).join('');
  return table(shapeOf(output), (...kept) => {
    const terms = table(shapeOf(summed), (...gone) => {
      const at = new Map([...(output + summed)].map((axis, i) => [axis, [...kept, ...gone][i]]));
      return readers
        .map((read, i) => read(...[...inputs[i]].map((axis) => at.get(axis) ?? 0)))
        .reduce((x, y) => x * y, 1);
    });
    return terms.reduce((x, y) => x + y, 0);
  });
}

const operand = fc.shuffledSubarray([...'abcde'], { maxLength: 4 }).map((axes) => axes.join(''));
const contraction = fc
  .array(operand, { minLength: 1, maxLength: 3 })
  .chain((inputs) =>
    fc
      .shuffledSubarray([...new Set(inputs.join(''))])
      .map((output) => ({ inputs, output: output.join('') })),
  );

function run(inputs: readonly string[], output: string, named: boolean) {
  const arrays = inputs.map((axes, i) => randomArray('f64', shapeOf(axes), 50 + i));
  const tensors = inputs.map((axes, i) =>
    input(`x${i}`, 'f64', named ? [...axes].map((axis) => `size_${axis}`) : shapeOf(axes)),
  );
  const y = einsum(`${inputs.join(',')}->${output}`, ...tensors);
  // The inputs are results too: one that is not read would not bind its sizes.
  const g = graph({ y, ...Object.fromEntries(tensors.map((x, i) => [`x${i}`, x])) });
  const feeds = Object.fromEntries(arrays.map((array, i) => [`x${i}`, array]));
  const result = interpret(g, feeds).outputs.get('y');
  if (!result) expect.fail('no output');
  return { y, result, expected: naive(inputs, output, arrays) };
}

describe('einsum', () => {
  it('is the sum of products that its pattern says', () => {
    fc.assert(
      fc.property(contraction, fc.boolean(), ({ inputs, output }, named) => {
        const { result, expected } = run(inputs, output, named);
        expect(result.shape).toEqual(shapeOf(output));
        expectClose(toNumbers(result), expected, 1e-11, `${inputs.join()}->${output}`);
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ['batch product', ['abd', 'ade'], 'abe'],
    ['attention scores', ['abd', 'aed'], 'abe'],
    ['outer product', ['a', 'b'], 'ba'],
    ['sum of everything', ['ab', 'b'], ''],
    ['three operands', ['ab', 'bd', 'de'], 'ea'],
    ['bilinear form over a batch', ['ab', 'bd', 'ad'], 'a'],
    ['transpose', ['abd'], 'dba'],
    ['scalars', ['', 'ab'], 'ab'],
  ])('%s', (_, inputs, output) => {
    const { result, expected } = run(inputs, output, true);
    expectClose(toNumbers(result), expected, 1e-12);
  });

  it('makes one product of a contraction, whose transpose the product can take', () => {
    const [q, k] = [input('q', 'f32', ['b', 'n', 8]), input('k', 'f32', ['b', 'm', 8])];
    const names = graph({ y: einsum('bqd,bkd->bqk', q, k) }).nodes.map(({ row }) => row.name);
    expect(names.filter((name) => name === 'matmul')).toHaveLength(1);
    expect(String(einsum('bqd,bkd->bqk', q, k))).toBe('f32[b, n, m]');
  });

  const x = input('x', 'f32', ['n', 3]);
  const refusals: readonly (readonly [string, number, RegExp])[] = [
    ['ab,bc', 2, /is not an einsum/],
    ['ab->a->b', 1, /is not an einsum/],
    ['a1->a', 1, /is not an einsum/],
    ['ab->a,b', 1, /is not an einsum/],
    ['ab,ab->ab', 1, /has 2 operands/],
    ['ab->ab', 2, /has 1 operands/],
    ['abc->a', 1, /does not name the axes/],
    ['aa->a', 1, /repeats an axis/],
    ['ab->aa', 1, /repeats an axis/],
    ['ab->ac', 1, /'c' is in no operand/],
    ['ab,ba->a', 2, /the axis 'b' has two sizes[\s\S]*3[\s\S]*n/],
  ];
  it.each(refusals)('refuses %s for %d operands', (pattern, count, message) => {
    const build = () => within('layers.0', 'mixer', () => einsum(pattern, ...Array(count).fill(x)));
    expect(build).toThrow(AnyformerError);
    expect(build).toThrow(message);
    expect(build).toThrow(/layers\.0 > mixer > einsum/);
  });
});
