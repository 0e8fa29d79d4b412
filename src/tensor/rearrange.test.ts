import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elements, range } from '../../tests/support/arrays.js';
import {
  AnyformerError,
  fromNumbers,
  graph,
  input,
  interpret,
  rearrange,
  within,
} from './index.js';

type Side = readonly (readonly string[])[];
const text = (side: Side): string =>
  side.map((group) => (group.length === 1 ? group[0] : `(${group.join(' ')})`)).join(' ');

/** einops by its definition: an element keeps its coordinate on every named axis. */
function naive(
  values: readonly number[],
  left: Side,
  right: Side,
  size: (name: string) => number,
): number[] {
  const names = [...new Set(left.flat())].filter((name) => name !== '1');
  const out: number[] = [];
  const flat = (side: Side, at: ReadonlyMap<string, number>) =>
    side.flat().reduce((sum, name) => sum * size(name) + (at.get(name) ?? 0), 0);
  const visit = (at: Map<string, number>, rest: readonly string[]) => {
    const [name, ...others] = rest;
    if (name === undefined) out[flat(right, at)] = values[flat(left, at)];
    else for (let i = 0; i < size(name); i++) visit(new Map(at).set(name, i), others);
  };
  visit(new Map(), names);
  return out;
}

/** Cuts a list into groups at random places; now and then a 1 stands between. */
const grouped = (names: readonly string[]): fc.Arbitrary<Side> =>
  fc.array(fc.nat(5), { minLength: names.length + 1, maxLength: names.length + 1 }).map((cuts) => {
    const groups: string[][] = [];
    names.forEach((name, i) => {
      if (cuts[i] === 5) groups.push(['1']);
      if (cuts[i] % 2 === 0 || groups.length === 0 || groups.at(-1)?.[0] === '1') groups.push([]);
      groups.at(-1)?.push(name);
    });
    if (cuts[names.length] === 5) groups.push(['1']);
    return groups;
  });

const patterns = fc
  .record({ count: fc.integer({ min: 1, max: 5 }), seed: fc.infiniteStream(fc.nat(1000)) })
  .chain(({ count }) => {
    const names = ['b', 'heads', 'x1', 'd', 'e_'].slice(0, count);
    return fc.record({
      names: fc.constant(names),
      sizes: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: count, maxLength: count }),
      left: grouped(names),
      right: fc.shuffledSubarray(names, { minLength: count }).chain(grouped),
    });
  });

const run = (
  values: readonly number[],
  shape: readonly number[],
  apply: Parameters<typeof once>[2],
) => once(values, shape, apply);
function once(
  values: readonly number[],
  shape: readonly number[],
  apply: (x: ReturnType<typeof input>) => ReturnType<typeof input>,
): { shape: readonly number[]; values: readonly (number | bigint)[] } {
  const y = apply(input('x', 'f32', shape));
  const { outputs } = interpret(graph({ y }), { x: fromNumbers('f32', shape, values) });
  const result = outputs.get('y');
  if (!result) expect.fail('no output');
  return { shape: result.shape, values: elements(result) };
}

describe('rearrange', () => {
  it('is einops, and the pattern read backwards undoes it', () => {
    fc.assert(
      fc.property(patterns, ({ names, sizes, left, right }) => {
        const size = (name: string) => (name === '1' ? 1 : sizes[names.indexOf(name)]);
        const measure = (side: Side) =>
          side.map((group) => group.map(size).reduce((a, b) => a * b, 1));
        const given = Object.fromEntries(names.map((name) => [name, size(name)]));
        const values = range(sizes.reduce((a, b) => a * b, 1));
        const pattern = `${text(left)} -> ${text(right)}`;
        const there = run(values, measure(left), (x) => rearrange(x, pattern, given));
        expect(there.shape).toEqual(measure(right));
        expect(there.values).toEqual(naive(values, left, right, size));
        const back = run(values, measure(left), (x) =>
          rearrange(rearrange(x, pattern, given), `${text(right)} -> ${text(left)}`, given),
        );
        expect(back).toEqual({ shape: measure(left), values });
      }),
      { numRuns: 300 },
    );
  });

  const x = input('x', 'f32', ['batch', 'seq', 12]);
  const shapeOf = (pattern: string, sizes = {}) => String(rearrange(x, pattern, sizes));

  it('works on named sizes', () => {
    expect(shapeOf('b n (h d) -> b h n d', { h: 4 })).toBe('f32[batch, 4, seq, 3]');
    expect(shapeOf('b n d -> (b n) d')).toBe('f32[batch*seq, 12]');
    expect(shapeOf('b n d -> b n 1 d 1')).toBe('f32[batch, seq, 1, 12, 1]');
    const slots = input('s', 'f32', ['batch', 'seq']).pad(1, 1, 0);
    expect(
      String(rearrange(rearrange(slots, 'b n -> (b n)'), '(b n) -> b n', { n: slots.size(1) })),
    ).toBe('f32[batch, seq + 1]');
  });

  it('takes ... for further axes, in a group too', () => {
    expect(shapeOf('... (h d) -> h ... d', { d: 6 })).toBe('f32[2, batch, seq, 6]');
    expect(shapeOf('b ... -> ... b')).toBe('f32[seq, 12, batch]');
    expect(shapeOf('b ... -> b (...)')).toBe('f32[batch, 12*seq]');
    expect(shapeOf('... d -> (... d)')).toBe('f32[12*batch*seq]');
    expect(shapeOf('b n d ... -> b n d ...')).toBe('f32[batch, seq, 12]');
    expect(shapeOf('b n d ... -> b n d (...)')).toBe('f32[batch, seq, 12, 1]');
  });

  it('adds no operation where nothing moves', () => {
    expect(rearrange(x, 'b n d -> b n d')).toBe(x);
    expect(rearrange(x, '... -> ...')).toBe(x);
    const node = rearrange(x, 'b n d -> b d n').node;
    expect(node.row.name).toBe('transpose');
    expect(node.inputs).toEqual([x]);
  });

  const refusals: readonly (readonly [string, Record<string, number>, RegExp])[] = [
    ['b n d', {}, /is not a pattern/],
    ['b n d -> b -> d', {}, /is not a pattern/],
    ['b n -> n b', {}, /does not name the axes/],
    ['b n d e ... -> b n d e ...', {}, /4 or more axes/],
    ['b n d -> b n', {}, /'d' stands on one side/],
    ['b n d -> b n d e', {}, /'e' stands on one side/],
    ['b n ... -> b n', {}, /'...' stands on one side/],
    ['b b d -> b d', {}, /'b' stands twice/],
    ['b n d -> b n n d', {}, /'n' stands twice/],
    ['... d ... -> d ...', {}, /stands twice/],
    ['b n (h d) -> b h n d', {}, /leaves sizes open[\s\S]*a size for d/],
    ['b n (h d) -> b h n d', { h: 5 }, /does not split as \(h d\)[\s\S]*multiple of 5[\s\S]*12/],
    ['b n (h d) -> b h n d', { h: 4, d: 4 }, /does not split/],
    ['(b c) n d -> b c n d', { c: 2 }, /axis 0 .* does not split/],
    ['b n d -> b d n', { heads: 2 }, /given for 'heads'/],
    ['b n (h d -> b h n d', { h: 4 }, /left open/],
    ['b n h) -> b n h', {}, /'\)' is misplaced/],
    ['b n ((h) d) -> b n h d', {}, /'\(' is misplaced/],
    ['b n 2 -> b n 2', {}, /'2' is misplaced/],
    ['b 1 d -> b d', {}, /axis 1 .* does not split/],
    ['(...) d -> ... d', {}, /cannot be split/],
    ['b n (h d) -> b h n d', { h: 0 }, /does not split/],
  ];
  it.each(refusals)('refuses %s %j', (pattern, sizes, message) => {
    const build = () => within('layers.3.attention', 'heads', () => rearrange(x, pattern, sizes));
    expect(build).toThrow(AnyformerError);
    expect(build).toThrow(message);
    expect(build).toThrow(/layers\.3\.attention > heads > rearrange: f32\[batch, seq, 12\]/);
  });
});
