// The parts of the block on the device: pooling and the norm against loops, the published sizes, and
// which mixers a permutation of places goes through.

import { resolveMixer } from '../../mixers/registry.js';
import { poolformerPresets } from '../../models/families/poolformer.js';
import { familyOf } from '../../models/families/registry.js';
import { Scope, sampleNorm } from '../../nn/index.js';
import { median } from '../../optimize/stats.js';
import {
  fromNumbers,
  graph,
  input,
  type NDArray,
  normalAt,
  permutation,
  sizeOf,
  type Tensor,
  toNumbers,
} from '../../tensor/index.js';
import { largestError } from '../experiment.js';
import type { MeasureContext } from '../system.js';

/** Parameters of a published size with 1000 classes; nothing is filled. */
export function parametersOf(preset: keyof typeof poolformerPresets): number {
  const family = familyOf('poolformer');
  const config = family.config.parse(poolformerPresets[preset]);
  if (family.kind !== 'vision') return Number.NaN;
  const scope = Scope.root();
  family.scores(scope, config, input('pixels', 'f32', ['batch', ...family.picture(config)]));
  const { stored } = scope.declarations;
  return [...stored.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

const [HEIGHT, WIDTH, FEATURES] = [6, 7, 5];
const PLACES = HEIGHT * WIDTH;
const SHAPE = [1, PLACES, FEATURES];
const drawn = (stream: number): Float64Array =>
  Float64Array.from({ length: PLACES * FEATURES }, (_, i) => Math.fround(normalAt(stream, i)));

const optionsOf: Readonly<Record<string, object>> = {
  pooling: { columns: WIDTH },
  identity: {},
  random: { length: PLACES },
  attention: {
    heads: 1,
    headDim: 4,
    outWidth: FEATURES,
    names: { q: 'q', k: 'k', v: 'v', o: 'o' },
  },
};

async function mixedBy(
  { device }: MeasureContext,
  name: string,
  values: ArrayLike<number>,
): Promise<Float64Array> {
  const { mixer, options } = resolveMixer(name, optionsOf[name]);
  const scope = Scope.root();
  const y = mixer.mix(scope, input('x', 'f32', SHAPE), options, {});
  return await run(device, scope, y, fromNumbers('f32', SHAPE, values));
}

async function run(
  device: MeasureContext['device'],
  scope: Scope,
  y: Tensor,
  x: NDArray,
): Promise<Float64Array> {
  let stream = 50;
  const parameters = new Map(
    [...scope.declarations.parameters.values()].map(({ name, shape }) => {
      stream++;
      const numbers = Float64Array.from({ length: sizeOf(shape) }, (_, i) => normalAt(stream, i));
      return [name, fromNumbers('f32', shape, numbers)] as const;
    }),
  );
  await using program = await device.compile(graph({ y }), { parameters });
  return toNumbers((await program.run({ x })).y);
}

/** Pooling against a loop over up to nine neighbours, borders and corners included. */
export async function poolingError(context: MeasureContext): Promise<number> {
  const x = drawn(1);
  const wanted = new Float64Array(x.length);
  for (let row = 0; row < HEIGHT; row++) {
    for (let column = 0; column < WIDTH; column++) {
      for (let f = 0; f < FEATURES; f++) {
        let [sum, count] = [0, 0];
        for (let r = Math.max(0, row - 1); r <= Math.min(HEIGHT - 1, row + 1); r++) {
          for (let c = Math.max(0, column - 1); c <= Math.min(WIDTH - 1, column + 1); c++) {
            sum += x[(r * WIDTH + c) * FEATURES + f];
            count++;
          }
        }
        const at = (row * WIDTH + column) * FEATURES + f;
        wanted[at] = sum / count - x[at];
      }
    }
  }
  return largestError(await mixedBy(context, 'pooling', x), wanted);
}

/** The largest value that pooling makes of a picture of one brightness. */
export async function constantPicture(context: MeasureContext): Promise<number> {
  const flat = new Float64Array(PLACES * FEATURES).fill(0.75);
  return largestError(await mixedBy(context, 'pooling', flat), new Float64Array(flat.length));
}

/** The block's norm against its formula. */
export async function normError({ device }: MeasureContext): Promise<number> {
  const x = drawn(2).map((value) => Math.fround(3 * value + 2));
  const scope = Scope.root();
  const y = sampleNorm()(scope, input('x', 'f32', SHAPE));
  const found = await run(device, scope, y, fromNumbers('f32', SHAPE, x));
  const centre = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - centre) ** 2, 0) / x.length;
  const [gain, bias] = [51, 52].map((stream) => (f: number) => Math.fround(normalAt(stream, f)));
  const wanted = x.map(
    (v, i) => ((v - centre) / Math.sqrt(variance + 1e-5)) * gain(i % FEATURES) + bias(i % FEATURES),
  );
  return largestError(found, wanted);
}

/** |mix(permuted x) - permuted mix(x)| of each mixer. */
export async function permutationErrors(context: MeasureContext): Promise<Record<string, number>> {
  const x = drawn(3);
  const order = permutation(PLACES, 4);
  const permuted = (values: Float64Array) =>
    values.map((_, i) => values[order[Math.floor(i / FEATURES)] * FEATURES + (i % FEATURES)]);
  const found: Record<string, number> = {};
  for (const name of Object.keys(optionsOf)) {
    const before = permuted(await mixedBy(context, name, x));
    found[name] = largestError(await mixedBy(context, name, permuted(x)), before);
  }
  return found;
}

/** Time of attention over pooling's, for a mixer at 56 x 56 places of 64 features, in turn. */
export async function mixerSpeed({
  device,
  mode,
}: MeasureContext): Promise<Record<string, number>> {
  const [side, width] = [56, 64];
  const shape = [1, side * side, width];
  const compiled = async (name: string, options: object) => {
    const { mixer, options: checked } = resolveMixer(name, options);
    const scope = Scope.root();
    const y = mixer.mix(scope, input('x', 'f32', shape), checked, {});
    const parameters = new Map(
      [...scope.declarations.parameters.values()].map(({ name: path, shape: size }, at) => {
        const numbers = Float64Array.from({ length: sizeOf(size) }, (_, i) => normalAt(at, i) / 8);
        return [path, fromNumbers('f32', size, numbers)] as const;
      }),
    );
    return await device.compile(graph({ y }), { parameters });
  };
  await using pooling = await compiled('pooling', { columns: side });
  await using attention = await compiled('attention', {
    heads: 2,
    headDim: 32,
    outWidth: width,
    names: { qkv: 'qkv', o: 'proj' },
  });
  const x = Float64Array.from({ length: sizeOf(shape) }, (_, i) => normalAt(9, i));
  const times = { pooling: [] as number[], attention: [] as number[] };
  for (let round = -1; round < (mode === 'quick' ? 4 : 15); round++) {
    for (const [name, program] of [
      ['pooling', pooling],
      ['attention', attention],
    ] as const) {
      const feeds = { x: fromNumbers('f32', shape, x) };
      const start = performance.now();
      await program.run(feeds);
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  const [pool, attend] = [median(times.pooling), median(times.attention)];
  return { ratio: attend / pool, pooling_ms: pool, attention_ms: attend };
}
