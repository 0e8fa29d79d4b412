// The conformance suite of token mixers: one set of rules over every mixer of the registry. Every
// program is compiled once, with symbolic sizes, and run at several.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mixers, resolveMixer } from '../src/mixers/registry.js';
import { Scope } from '../src/nn/index.js';
import type { Device, Program } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import {
  addDims,
  cost,
  dim,
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  type NDArray,
  ndarray,
  simplify,
  type Tensor,
  toNumbers,
  zerosOf,
} from '../src/tensor/index.js';
import { normalArray, uniform } from './support/draw.js';
import { frozen } from './support/frozen.js';
import { type MixerCase, mixerCases, type Sees } from './support/mixer-cases.js';

const cases = Object.values(mixerCases).flat();

it('every mixer of the registry is under test', () => {
  expect(Object.keys(mixerCases).sort()).toEqual([...mixers.keys()].sort());
});

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

const causal: Sees = (_, i, j) => j <= i;
const everything: Sees = () => true;

const maskOf = (batch: number, queries: number, keys: number, sees: Sees): NDArray => {
  const values: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queries; i++)
      for (let j = 0; j < keys; j++) values.push(sees(b, i, j) ? 1 : 0);
  }
  return fromNumbers('bool', [batch, 1, queries, keys], values);
};

const positionsOf = (batch: number, seq: number, start = 0): number[][] =>
  Array.from({ length: batch }, () => Array.from({ length: seq }, (_, i) => start + i));

const idsOf = (rows: readonly (readonly number[])[]): NDArray =>
  fromNumbers('i64', [rows.length, rows[0].length], rows.flat());

/** Rows `from..to` of the second axis. */
function tokens(x: NDArray, from: number, to: number, batch?: number): NDArray {
  const [rows, seq, width] = x.shape;
  const picked = batch === undefined ? Array.from({ length: rows }, (_, b) => b) : [batch];
  const values = toNumbers(x);
  const parts = picked.flatMap((b) => [
    ...values.subarray((b * seq + from) * width, (b * seq + to) * width),
  ]);
  return fromNumbers('f32', [picked.length, to - from, width], parts);
}

function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number>, tolerance = 2e-5): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    if (Number.isNaN(wanted[i])) continue; // a row that sees nothing
    if (!(Math.abs(found[i] - wanted[i]) <= tolerance * (1 + Math.abs(wanted[i])))) {
      expect.fail(`element ${i}: ${found[i]}, wanted ${wanted[i]}`);
    }
  }
}

type Feeds = Readonly<Record<string, NDArray>>;
const copies = (feeds: Feeds): Record<string, NDArray> =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { dtype, shape, data }]) => [
      name,
      ndarray(dtype, shape, data.slice()),
    ]),
  );

/** A program on the device and in the interpreter. */
type Both = {
  g: Graph;
  weights: ReadonlyMap<string, NDArray>;
  interpreted(feeds: Feeds): Map<string, NDArray>;
  run(feeds: Feeds): Promise<Record<string, NDArray>>;
  program: Program;
};

async function open(build: (s: Scope) => Record<string, Tensor>): Promise<Both> {
  const root = Scope.root();
  const g = graph(build(root.at('m')));
  const stored = new Map<string, NDArray>();
  for (const [i, { name, shape }] of [...root.declarations.stored.values()].entries()) {
    stored.set(name, normalArray(shape, 100 + i, 1 / Math.sqrt(shape.at(-1) ?? 1)));
  }
  const parameters = frozen(g, root.declarations, stored);
  const program = await device.compile(g, { parameters });
  return {
    g,
    program,
    weights: new Map([...stored].map(([name, array]) => [name.slice(2), array])),
    interpreted: (feeds) => interpret(g, feeds, parameters).outputs,
    run: (feeds) => program.run(copies(feeds)),
  };
}

const entries = (c: MixerCase) => ({
  x: input('x', 'f32', ['batch', 'seq', c.width]),
  positions: input('positions', 'i64', ['batch', 'seq']),
});

/** The mixer over whole sequences, with a mask or without. */
const whole = (c: MixerCase, masked: boolean) => (s: Scope) => {
  const { mixer, options } = resolveMixer(c.mixer, c.options);
  const { x, positions } = entries(c);
  const mask = masked ? input('mask', 'bool', ['batch', 1, 'seq', 'seq']) : undefined;
  return { y: mixer.mix(s, x, options, { mask, positions }) };
};

describe.each(cases)('$name', (c) => {
  const { mixer, options } = resolveMixer(c.mixer, c.options);
  let masked: Both;
  let unmasked: Both;
  beforeAll(async () => {
    masked = await open(whole(c, true));
    unmasked = await open(whole(c, false));
  });
  afterAll(async () => {
    await masked.program.dispose();
    await unmasked.program.dispose();
  });

  /** Feeds of the graph: inputs that a mixer does not read are not inputs of it. */
  const feedsOf = (both: Both, feeds: Feeds): Feeds =>
    Object.fromEntries(Object.entries(feeds).filter(([name]) => both.g.inputs.has(name)));

  async function mixed(both: Both, feeds: Feeds): Promise<Float64Array> {
    const needed = feedsOf(both, feeds);
    const { y } = await both.run(needed);
    const reference = both.interpreted(needed).get('y');
    expect(y.shape).toEqual(reference?.shape);
    if (reference) expectNear(toNumbers(y), toNumbers(reference));
    return toNumbers(y);
  }

  it('equals its definition at every size, with and without a mask', async () => {
    const draw = uniform(1);
    for (const [batch, seq] of [
      [1, 1],
      [2, 5],
      [3, 17],
    ]) {
      const x = normalArray([batch, seq, c.width], batch + seq);
      const rows = Array.from({ length: batch }, () =>
        Array.from({ length: seq }, () => Math.floor(draw() * 50)),
      );
      const holes = new Set<string>();
      for (let b = 0; b < batch; b++) {
        for (let i = 0; i < seq; i++)
          for (let j = 0; j < seq; j++) if (i !== j && draw() < 0.4) holes.add(`${b} ${i} ${j}`);
      }
      const random: Sees = (b, i, j) => !holes.has(`${b} ${i} ${j}`);
      const positions = idsOf(rows);
      const given = { x, positions: rows };
      if (mixer.causal !== 'always') {
        const wanted = c.define({ ...given, sees: everything, weights: unmasked.weights });
        expectNear(await mixed(unmasked, { x, positions }), wanted);
      }
      for (const sees of mixer.causal === 'never' ? [random] : [random, causal]) {
        const wanted = c.define({ ...given, sees, weights: masked.weights });
        const mask = maskOf(batch, seq, seq, sees);
        expectNear(await mixed(masked, { x, positions, mask }), wanted);
      }
    }
  });

  it.runIf(mixer.causal !== 'never')(
    'causal means causal: a token moves nothing before it',
    async () => {
      const seq = 9;
      const positions = idsOf(positionsOf(1, seq));
      const mask = maskOf(1, seq, seq, causal);
      const x = normalArray([1, seq, c.width], 5);
      const before = masked
        .interpreted(feedsOf(masked, { x, positions, mask }))
        .get('y') as NDArray;
      const ran = await mixed(masked, { x, positions, mask });
      for (const t of [0, 4, seq - 1]) {
        const changed = fromNumbers(
          'f32',
          x.shape,
          toNumbers(x).map((v, i) => (Math.floor(i / c.width) === t ? 1e3 - 7 * v : v)),
        );
        const feeds = feedsOf(masked, { x: changed, positions, mask });
        const after = masked.interpreted(feeds).get('y') as NDArray;
        const split = t * c.outWidth;
        expect(after.data.slice(0, split)).toEqual(before.data.slice(0, split));
        expect(after.data.slice(split)).not.toEqual(before.data.slice(split));
        const { y } = await masked.run(feeds);
        expectNear(toNumbers(y).subarray(0, split), ran.subarray(0, split), 1e-6);
      }
    },
  );

  it('batch equals singles under padding on either side', async () => {
    const lengths = [3, 7, 1, 5];
    const seq = 7;
    const singles = lengths.map((length, b) => normalArray([1, length, c.width], 30 + b));
    for (const side of ['right', 'left']) {
      for (const order of mixer.causal === 'never' ? [everything] : [causal, everything]) {
        if (order === everything && mixer.causal === 'always') continue;
        const start = (b: number) => (side === 'right' ? 0 : seq - lengths[b]);
        const stands = (b: number, i: number) => i >= start(b) && i < start(b) + lengths[b];
        const values = new Float64Array(lengths.length * seq * c.width).fill(1e3); // padding
        for (const [b, x] of singles.entries()) {
          values.set(toNumbers(x), (b * seq + start(b)) * c.width);
        }
        const y = await mixed(masked, {
          x: fromNumbers('f32', [lengths.length, seq, c.width], values),
          positions: idsOf(
            lengths.map((_, b) => Array.from({ length: seq }, (_, i) => Math.max(0, i - start(b)))),
          ),
          mask: maskOf(lengths.length, seq, seq, (b, i, j) => order(b, i, j) && stands(b, j)),
        });
        expect(y.every(Number.isFinite)).toBe(true);
        for (const [b, length] of lengths.entries()) {
          const alone = await mixed(masked, {
            x: singles[b],
            positions: idsOf(positionsOf(1, length)),
            mask: maskOf(1, length, length, order),
          });
          const at = (b * seq + start(b)) * c.outWidth;
          expectNear(y.subarray(at, at + length * c.outWidth), alone);
        }
      }
    }
  });

  it('a query that may see nothing stays finite and disturbs no other, two layers deep', async () => {
    const both = await open((s) => {
      const { x, positions } = entries(c);
      const mask = input('mask', 'bool', ['batch', 1, 'seq', 'seq']);
      const layer = (t: Tensor, at: number) => {
        const y = mixer.mix(s.at(at), t, options, { mask, positions });
        return y.size(-1) === c.width ? y : y.slice(-1, 0, c.width);
      };
      return { first: layer(x, 0), second: layer(layer(x, 0), 1) };
    });
    const seq = 5;
    const x = normalArray([2, seq, c.width], 3);
    const positions = idsOf(positionsOf(2, seq));
    // Row 0 pads two places on the left: they see nothing, and nobody sees them.
    const sees: Sees = (b, i, j) => j <= i && (b === 1 || j >= 2);
    const run = async (array: NDArray) => {
      const feeds = feedsOf(both, { x: array, positions, mask: maskOf(2, seq, seq, sees) });
      const { first, second } = await both.run(feeds);
      for (const [name, y] of Object.entries({ first, second })) {
        expect([...toNumbers(y)].every(Number.isFinite)).toBe(true);
        expectNear(toNumbers(y), toNumbers(both.interpreted(feeds).get(name) as NDArray), 1e-4);
      }
      return toNumbers(second);
    };
    const plain = await run(x);
    const other = await run(
      fromNumbers(
        'f32',
        x.shape,
        toNumbers(x).map((v, i) => (i < 2 * c.width ? 50 * v : v)),
      ),
    );
    expectNear(other.subarray(2 * c.width), plain.subarray(2 * c.width), 1e-5);
    await both.program.dispose();
  });

  it('costs what its arithmetic counts by hand', () => {
    for (const [batch, seq] of [
      [1, 1],
      [2, 7],
      [3, 40],
    ]) {
      expect(cost(simplify(unmasked.g), { batch, seq }).flops).toBe(c.flops(batch, seq));
      expect(cost(simplify(masked.g), { batch, seq }).flops).toBe(c.flops(batch, seq));
    }
    const { parameters } = cost(unmasked.g, { batch: 1, seq: 1 });
    const counted = [...unmasked.weights.values()].reduce((a, { data }) => a + data.length, 0);
    expect(parameters).toBe(counted);
  });

  describe.runIf(mixer.state)('decoding with a state', () => {
    const specs = Object.entries(mixer.state?.(options) ?? {});
    const capacity = 16;
    const seq = 11;
    /** Tokens at the start of each row that are padding: they see nothing and nobody sees them. */
    const padding = [0, 3];
    const batch = padding.length;
    let prefill: Both;
    let step: Both;

    beforeAll(async () => {
      const layer = (s: Scope, mask: Tensor, past?: Readonly<Record<string, Tensor>>) => {
        const { x, positions } = entries(c);
        const state = { present: {}, ...(past ? { past } : {}) };
        const y = mixer.mix(s, x, options, { mask, positions, state });
        const rows = Object.entries<Tensor>(state.present).map(([name, t]) => [`new_${name}`, t]);
        return { y, ...Object.fromEntries(rows) } as Record<string, Tensor>;
      };
      prefill = await open((s) => layer(s, input('mask', 'bool', ['batch', 1, 'seq', 'seq'])));
      const keys = addDims(dim('capacity'), dim('seq'));
      step = await open((s) => {
        const past = specs.map(([name, { shape }]) => [name, input(`past_${name}`, 'f32', shape)]);
        return layer(s, input('mask', 'bool', ['batch', 1, 'seq', keys]), Object.fromEntries(past));
      });
    });
    afterAll(async () => {
      await prefill.program.dispose();
      await step.program.dispose();
    });

    /** The state as a caller holds it: every place `fill` until a row is written. */
    const emptyState = (fill: number) =>
      Object.fromEntries(
        specs.map(([name, { shape }]) => {
          const sizes = shape.map((d) => (d === 'batch' ? batch : d === 'capacity' ? capacity : d));
          const array = zerosOf('f32', sizes);
          array.data.fill(fill as never);
          return [name, array];
        }),
      );

    /** Writes new rows along the state's axis, beginning at `start`. */
    function write(held: NDArray, rows: NDArray, axis: number, start: number): void {
      const outer = held.shape.slice(0, axis).reduce((a, b) => a * b, 1);
      const inner = held.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
      const [places, added] = [held.shape[axis], rows.shape[axis]];
      expect(rows.shape).toEqual(held.shape.map((size, i) => (i === axis ? added : size)));
      for (let o = 0; o < outer; o++) {
        const part = rows.data.subarray(o * added * inner, (o + 1) * added * inner);
        held.data.set(part as never, (o * places + start) * inner);
      }
    }

    const x = normalArray([batch, seq, c.width], 77);
    const positions = padding.map((pad) =>
      Array.from({ length: seq }, (_, i) => Math.max(0, i - pad)),
    );
    const sees: Sees = (b, i, j) => j <= i && j >= padding[b];
    const part = (from: number, to: number) => ({
      x: tokens(x, from, to),
      positions: idsOf(positions.map((row) => row.slice(from, to))),
    });

    async function decode(chunks: readonly number[], fill: number): Promise<void> {
      const full = { x, positions: idsOf(positions), mask: maskOf(batch, seq, seq, sees) };
      const wanted = fromNumbers('f32', [batch, seq, c.outWidth], await mixed(masked, full));
      const held = emptyState(fill);
      let length = 0;
      for (const size of chunks) {
        const [from, to] = [length, length + size];
        // Keys: the whole capacity, of which `length` places are filled, then the new ones.
        const mask = maskOf(batch, size, capacity + size, (b, i, j) =>
          j < capacity ? j < from && sees(b, from + i, j) : sees(b, from + i, from + j - capacity),
        );
        const past = Object.entries(held).map(([name, array]) => [`past_${name}`, array]);
        const feeds = feedsOf(step, { ...part(from, to), mask, ...Object.fromEntries(past) });
        const made = await step.run(feeds);
        const reference = step.interpreted(feeds);
        for (const [name] of specs) {
          const rows = toNumbers(reference.get(`new_${name}`) as NDArray);
          expectNear(toNumbers(made[`new_${name}`]), rows);
        }
        for (let b = 0; b < batch; b++) {
          // What a padded query gets is nobody's to read.
          const first = Math.min(Math.max(from, padding[b]), to);
          const right = toNumbers(tokens(wanted, first, to, b));
          for (const y of [made.y, reference.get('y') as NDArray]) {
            expectNear(toNumbers(tokens(y, first - from, to - from, b)), right, 1e-4);
          }
        }
        for (const [name, { axis }] of specs) write(held[name], made[`new_${name}`], axis, from);
        length = to;
      }
      expect(length).toBe(seq);
    }

    it.each([
      ['one by one', Array(seq).fill(1)],
      ['in chunks', [4, 1, 3, 1, 2]],
      ['at once', [seq]],
    ])('equals the full pass: %s', (_, chunks) => decode(chunks, 0));

    it('ignores any finite number in places that hold nothing yet', () =>
      decode([5, 1, 1, 4], 1e30));

    it('a pass without a past equals the full one and fills the same state', async () => {
      const full = { x, positions: idsOf(positions), mask: maskOf(batch, seq, seq, sees) };
      const made = await prefill.run(feedsOf(prefill, full));
      expectNear(toNumbers(made.y), await mixed(masked, full));
      const mask = maskOf(
        batch,
        seq,
        capacity + seq,
        (b, i, j) => j >= capacity && sees(b, i, j - capacity),
      );
      const past = Object.entries(emptyState(0)).map(([name, array]) => [`past_${name}`, array]);
      const stepped = await step.run(feedsOf(step, { ...full, mask, ...Object.fromEntries(past) }));
      for (const [name] of specs) {
        expectNear(toNumbers(made[`new_${name}`]), toNumbers(stepped[`new_${name}`]));
      }
    });
  });
});

describe('errors', () => {
  it('an unknown mixer and a wrong option are named', () => {
    expect(() => resolveMixer('atention', {})).toThrowError(
      expect.objectContaining({ code: 'mixer/unknown', hint: 'did you mean attention?' }),
    );
    const [{ options }] = mixerCases.attention;
    const wrong: [object, string][] = [
      [{ ...options, heads: 0 }, 'heads'],
      [{ ...options, heads: 4, kvHeads: 3 }, 'kvHeads'],
      [{ ...options, rotary: { base: 10, width: 3, layout: 'halves' } }, 'rotary.width'],
      [{ ...options, rotary: { base: 10, width: 8, layout: 'halves' } }, 'rotary.width'],
      [{ ...options, names: { q: 'q' } }, 'names'],
    ];
    for (const [given, where] of wrong) {
      expect(() => resolveMixer('attention', given)).toThrowError(
        expect.objectContaining({ code: 'mixer/options', what: expect.stringContaining(where) }),
      );
    }
  });

  it('rotary attention without positions says where', () => {
    const [, { options, width }] = mixerCases.attention;
    const resolved = resolveMixer('attention', options);
    const x = input('x', 'f32', ['batch', 'seq', width]);
    const s = Scope.root().at('layers', 2, 'self_attn');
    expect(() => resolved.mixer.mix(s, x, resolved.options, {})).toThrowError(
      expect.objectContaining({
        code: 'mixer/positions',
        what: expect.stringContaining('layers.2.self_attn'),
      }),
    );
  });
});

describe('attention', () => {
  it('a query that may see nothing gets the mean of all values', () => {
    const resolved = resolveMixer('attention', {
      heads: 1,
      headDim: 2,
      outWidth: 2,
      names: { q: 'q', k: 'k', v: 'v', o: 'o' },
    });
    const root = Scope.root();
    const x = input('x', 'f32', [1, 3, 2]);
    const mask = input('mask', 'bool', [1, 1, 3, 3]);
    const g = graph({ y: resolved.mixer.mix(root.at('m'), x, resolved.options, { mask }) });
    const identity = fromNumbers('f32', [2, 2], [1, 0, 0, 1]);
    const stored = new Map(['q', 'k', 'v', 'o'].map((name) => [`m.${name}.weight`, identity]));
    const feeds = {
      x: fromNumbers('f32', [1, 3, 2], [1, 2, 3, 4, 8, 6]),
      mask: maskOf(1, 3, 3, (_, i, j) => i > 0 && j === 1),
    };
    const y = interpret(g, feeds, frozen(g, root.declarations, stored)).outputs.get('y') as NDArray;
    expectNear(toNumbers(y), [4, 4, 3, 4, 3, 4], 1e-6);
  });
});
