// The conformance suite of decoding: every token mixer that keeps a state must give, step by step and
// in chunks of any size, what a pass over the whole sequence gives.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mixers, resolveMixer } from '../src/mixers/registry.js';
import type { Scope } from '../src/nn/index.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import {
  addDims,
  dim,
  fromNumbers,
  input,
  type NDArray,
  type Tensor,
  toNumbers,
  zerosOf,
} from '../src/tensor/index.js';
import { normalArray } from './support/draw.js';
import { mixerCases, type Sees } from './support/mixer-cases.js';
import {
  type Both,
  entries,
  expectNear,
  idsOf,
  maskOf,
  mixed,
  open,
  tokens,
  whole,
} from './support/mixer-run.js';

const cases = Object.values(mixerCases)
  .flat()
  .filter(({ mixer }) => mixers.get(mixer)?.state);

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

describe.each(cases)('$name', (c) => {
  const { mixer, options } = resolveMixer(c.mixer, c.options);
  const specs = Object.entries(mixer.state?.(options) ?? {});
  const capacity = 16;
  const seq = 11;
  /** Tokens at the start of each row that are padding: they see nothing and nobody sees them. */
  const padding = [0, 3];
  const batch = padding.length;
  let masked: Both;
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
    masked = await open(device, whole(c, true));
    prefill = await open(device, (s) =>
      layer(s, input('mask', 'bool', ['batch', 1, 'seq', 'seq'])),
    );
    const keys = addDims(dim('capacity'), dim('seq'));
    step = await open(device, (s) => {
      const past = specs.map(([name, { shape }]) => [name, input(`past_${name}`, 'f32', shape)]);
      return layer(s, input('mask', 'bool', ['batch', 1, 'seq', keys]), Object.fromEntries(past));
    });
  });
  afterAll(async () => {
    await masked.program.dispose();
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
      const feeds = { ...part(from, to), mask, ...Object.fromEntries(past) };
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

  it('ignores any finite number in places that hold nothing yet', () => decode([5, 1, 1, 4], 1e30));

  it('a pass without a past equals the full one and fills the same state', async () => {
    const full = { x, positions: idsOf(positions), mask: maskOf(batch, seq, seq, sees) };
    const made = await prefill.run(full);
    expectNear(toNumbers(made.y), await mixed(masked, full));
    const mask = maskOf(
      batch,
      seq,
      capacity + seq,
      (b, i, j) => j >= capacity && sees(b, i, j - capacity),
    );
    const past = Object.entries(emptyState(0)).map(([name, array]) => [`past_${name}`, array]);
    const stepped = await step.run({ ...full, mask, ...Object.fromEntries(past) });
    for (const [name] of specs) {
      expectNear(toNumbers(made[`new_${name}`]), toNumbers(stepped[`new_${name}`]));
    }
  });
});
