// The position schemes on the device against their definitions in plain loops, and what makes each of
// them relative.
import {
  alibiBias,
  alibiSlopes,
  rotaryTables,
  rotate,
  Scope,
  sinusoidPositions,
  t5Bias,
  t5Bucket,
} from '../../nn/index.js';
import {
  constant,
  fromNumbers,
  graph,
  input,
  type NDArray,
  normalAt,
  type Tensor,
  toNumbers,
} from '../../tensor/index.js';
import { largestError } from '../experiment.js';
import type { MeasureContext } from '../system.js';

const HEADS = 4;
const HEAD = 16;
const LENGTH = 48;

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const positionsOf = (start: number): NDArray =>
  fromNumbers(
    'i64',
    [1, LENGTH],
    count(LENGTH).map((i) => start + i),
  );
const drawn = (shape: readonly number[], stream: number): NDArray => {
  const size = shape.reduce((a, b) => a * b, 1);
  return fromNumbers(
    'f32',
    shape,
    count(size).map((i) => normalAt(stream, i)),
  );
};

async function evaluate(
  { device }: MeasureContext,
  build: (s: Scope) => Tensor,
  feeds: Readonly<Record<string, NDArray>>,
  stored: ReadonlyMap<string, NDArray> = new Map(),
): Promise<Float64Array> {
  await using program = await device.compile(graph({ y: build(Scope.root()) }), {
    parameters: stored,
  });
  return toNumbers((await program.run({ ...feeds })).y);
}

const at = () => input('at', 'i64', [1, LENGTH]);

/** Largest errors of sinusoids, T5 biases, ALiBi and rotations over 48 places. */
export async function schemeErrors(context: MeasureContext): Promise<Record<string, number>> {
  const places = count(LENGTH);
  const width = HEADS * HEAD;
  const half = count(width / 2).map((k) => 10000 ** ((-2 * k) / width));
  const sinusoid = await evaluate(context, () => sinusoidPositions(at(), width), {
    at: positionsOf(0),
  });
  const waves = places.flatMap((p) => [
    ...half.map((f) => Math.sin(p * f)),
    ...half.map((f) => Math.cos(p * f)),
  ]);

  const table = drawn([32, HEADS], 7);
  const t5 = await evaluate(
    context,
    (s) => t5Bias(s.at('t'), at(), at(), { heads: HEADS, buckets: 32, maxDistance: 128 }),
    { at: positionsOf(0) },
    new Map([['t.weight', table]]),
  );
  const rows = toNumbers(table);
  const overPairs = (value: (h: number, i: number, j: number) => number): number[] =>
    count(HEADS).flatMap((h) => places.flatMap((i) => places.map((j) => value(h, i, j))));
  const buckets = overPairs((h, i, j) => rows[HEADS * t5Bucket(i - j, T5) + h]);

  const alibi = await evaluate(context, () => alibiBias(at(), at(), HEADS), {
    at: positionsOf(0),
  });
  const slopes = overPairs((h, i, j) => -(2 ** ((-8 * (h + 1)) / HEADS)) * Math.abs(i - j));

  const x = drawn([1, HEADS, LENGTH, HEAD], 8);
  const rotary = await rotated(context, x, 0);
  return {
    sinusoid: largestError(sinusoid, waves),
    t5: largestError(t5, buckets),
    alibi: largestError(alibi, slopes),
    rotary: largestError(rotary, turnedByHand(toNumbers(x), 0)),
  };
}

const T5 = { buckets: 32, maxDistance: 128 };
/** A quarter of each head, in pairs: what the study uses. */
const ROTARY = { base: 10000, width: HEAD / 4, layout: 'pairs' as const };

const rotated = (context: MeasureContext, x: NDArray, start: number): Promise<Float64Array> =>
  evaluate(
    context,
    () => {
      const t = input('x', 'f32', [1, HEADS, LENGTH, HEAD]);
      return rotate(t, rotaryTables(at(), ROTARY), ROTARY);
    },
    {
      x: fromNumbers('f32', x.shape, toNumbers(x)),
      at: positionsOf(start),
    },
  );

function turnedByHand(values: Float64Array, start: number): Float64Array {
  const out = Float64Array.from(values);
  for (let row = 0; row < values.length / HEAD; row++) {
    const position = start + (row % LENGTH);
    for (let k = 0; k < ROTARY.width / 2; k++) {
      const angle = position * ROTARY.base ** ((-2 * k) / ROTARY.width);
      const [a, b] = [row * HEAD + 2 * k, row * HEAD + 2 * k + 1];
      out[a] = values[a] * Math.cos(angle) - values[b] * Math.sin(angle);
      out[b] = values[b] * Math.cos(angle) + values[a] * Math.sin(angle);
    }
  }
  return out;
}

/** How much scores of rotated queries and keys move when all positions move by 57. */
export async function rotaryShift(context: MeasureContext): Promise<number> {
  const [q, k] = [drawn([1, HEADS, LENGTH, HEAD], 1), drawn([1, HEADS, LENGTH, HEAD], 2)];
  const scores = async (start: number) => {
    const [a, b] = [await rotated(context, q, start), await rotated(context, k, start)];
    const dot = (i: number, j: number) =>
      count(HEAD).reduce((sum, c) => sum + a[i * HEAD + c] * b[j * HEAD + c], 0);
    const places = count(LENGTH);
    return places.flatMap((i) => places.map((j) => dot(i, j) / Math.sqrt(HEAD)));
  };
  return largestError(await scores(57), await scores(0));
}

/** Distance of the weights of the two conventions of ALiBi: -slope (i - j) and + slope j. */
export async function alibiConventions(context: MeasureContext): Promise<number> {
  const heads = 12;
  const scores = drawn([1, heads, LENGTH, LENGTH], 3);
  const y = (build: (scores: Tensor) => Tensor) =>
    evaluate(
      context,
      () => {
        const causal = at().unsqueeze(1, 3).greaterEqual(at().unsqueeze(1, 2));
        const biased = build(input('scores', 'f32', [1, heads, LENGTH, LENGTH]));
        return causal.where(biased, -1e30).softmax();
      },
      { at: positionsOf(0), scores: fromNumbers('f32', scores.shape, toNumbers(scores)) },
    );
  const ours = await y((t) => t.add(alibiBias(at(), at(), heads)));
  const theirs = await y((t) => {
    const columns = fromNumbers(
      'f32',
      [1, heads, 1, LENGTH],
      alibiSlopes(heads).flatMap((slope) => count(LENGTH).map((j) => slope * j)),
    );
    return t.add(constant(columns));
  });
  return largestError(ours, theirs);
}

/** Distances 0..300 whose bucket is not the one of the published table. */
export function bucketMismatches(): number {
  // First distance of every bucket: 32 buckets, causal, up to 128.
  const grown = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113];
  const starts = [...count(16), ...grown];
  return count(301).filter((d) => {
    const bucket = starts.filter((start) => start <= d).length - 1;
    return t5Bucket(d, T5) !== bucket;
  }).length;
}
