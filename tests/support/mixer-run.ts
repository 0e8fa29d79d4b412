// Running token mixers for tests: programs with symbolic sizes, on the device and in the interpreter.
import { expect } from 'vitest';
import { resolveMixer } from '../../src/mixers/registry.js';
import { Scope } from '../../src/nn/index.js';
import type { Device, Program } from '../../src/runtime/device.js';
import {
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  type NDArray,
  ndarray,
  type Tensor,
  toNumbers,
} from '../../src/tensor/index.js';
import { normalArray } from './draw.js';
import { frozen } from './frozen.js';
import type { MixerCase, Sees } from './mixer-cases.js';

export const causal: Sees = (_, i, j) => j <= i;
export const everything: Sees = () => true;

export const maskOf = (batch: number, queries: number, keys: number, sees: Sees): NDArray => {
  const values: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queries; i++)
      for (let j = 0; j < keys; j++) values.push(sees(b, i, j) ? 1 : 0);
  }
  return fromNumbers('bool', [batch, 1, queries, keys], values);
};

export const positionsOf = (batch: number, seq: number, start = 0): number[][] =>
  Array.from({ length: batch }, () => Array.from({ length: seq }, (_, i) => start + i));

export const idsOf = (rows: readonly (readonly number[])[]): NDArray =>
  fromNumbers('i64', [rows.length, rows[0].length], rows.flat());

/** Rows `from..to` of the second axis. */
export function tokens(x: NDArray, from: number, to: number, batch?: number): NDArray {
  const [rows, seq, width] = x.shape;
  const picked = batch === undefined ? Array.from({ length: rows }, (_, b) => b) : [batch];
  const values = toNumbers(x);
  const parts = picked.flatMap((b) => [
    ...values.subarray((b * seq + from) * width, (b * seq + to) * width),
  ]);
  return fromNumbers('f32', [picked.length, to - from, width], parts);
}

export function expectNear(
  found: ArrayLike<number>,
  wanted: ArrayLike<number>,
  tolerance = 2e-5,
): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    if (Number.isNaN(wanted[i])) continue; // a row that sees nothing
    if (!(Math.abs(found[i] - wanted[i]) <= tolerance * (1 + Math.abs(wanted[i])))) {
      expect.fail(`element ${i}: ${found[i]}, wanted ${wanted[i]}`);
    }
  }
}

export type Feeds = Readonly<Record<string, NDArray>>;
const copies = (feeds: Feeds): Record<string, NDArray> =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { dtype, shape, data }]) => [
      name,
      ndarray(dtype, shape, data.slice()),
    ]),
  );

/** A program on the device and in the interpreter, and its weights by name below the mixer. */
export type Both = {
  g: Graph;
  weights: ReadonlyMap<string, NDArray>;
  interpreted(feeds: Feeds): Map<string, NDArray>;
  run(feeds: Feeds): Promise<Record<string, NDArray>>;
  program: Program;
};

/** Opens a program on weights of a fixed seed. */
export async function open(
  device: Device,
  build: (s: Scope) => Record<string, Tensor>,
): Promise<Both> {
  const root = Scope.root();
  const g = graph(build(root.at('m')));
  const stored = new Map<string, NDArray>();
  for (const [i, { name, shape }] of [...root.declarations.stored.values()].entries()) {
    stored.set(name, normalArray(shape, 100 + i, 1 / Math.sqrt(shape.at(-1) ?? 1)));
  }
  const parameters = frozen(g, root.declarations, stored);
  const program = await device.compile(g, { parameters });
  /** Inputs that a mixer does not read are no inputs of its graph. */
  const needed = (feeds: Feeds): Feeds =>
    Object.fromEntries(Object.entries(feeds).filter(([name]) => g.inputs.has(name)));
  return {
    g,
    program,
    weights: new Map([...stored].map(([name, array]) => [name.slice(2), array])),
    interpreted: (feeds) => interpret(g, needed(feeds), parameters).outputs,
    run: (feeds) => program.run(copies(needed(feeds))),
  };
}

export const entries = (c: MixerCase) => ({
  x: input('x', 'f32', ['batch', 'seq', c.width]),
  positions: input('positions', 'i64', ['batch', 'seq']),
});

/** The mixer over whole sequences, with a mask or without. */
export const whole = (c: MixerCase, masked: boolean) => (s: Scope) => {
  const { mixer, options } = resolveMixer(c.mixer, c.options);
  const { x, positions } = entries(c);
  const mask = masked ? input('mask', 'bool', ['batch', 1, 'seq', 'seq']) : undefined;
  return { y: mixer.mix(s, x, options, { mask, positions }) };
};

/** The result y, the same on the device and in the interpreter. */
export async function mixed(both: Both, feeds: Feeds): Promise<Float64Array> {
  const { y } = await both.run(feeds);
  const reference = both.interpreted(feeds).get('y');
  expect(y.shape).toEqual(reference?.shape);
  if (reference) expectNear(toNumbers(y), toNumbers(reference));
  return toNumbers(y);
}
