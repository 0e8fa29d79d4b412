// What one matrix product takes in every weight format, relative to the dense one, on this machine:
// kernels alone, two threads, all formats in turn within each round, so that what else the machine
// does meets them all. The numbers of the weights do not matter to the time; they are random.
//
//   npm run bench:formats              all sizes
//   npm run bench:formats -- 512x1536  one
import { cpus, loadavg } from 'node:os';
import ort from 'onnxruntime-node';
import { matrixProduct, Scope } from '../dist/nn/index.js';
import { toOnnx } from '../dist/onnx/from-graph.js';
import { encodeModel } from '../dist/onnx/write.js';
import { dtypes, fromNumbers, graph, input, ndarray, simplify } from '../dist/tensor/index.js';

const THREADS = 2;
/** Rounds, fewer where one takes long. */
const ROUNDS = 40;
const FEWEST = 7;
const BUDGET_MS = 25_000;
/** Each program runs this long a round, at least once. */
const SLICE_MS = 4;

const blockInt = (bits, block, accuracy, scale = 'float') => [
  `block-int ${bits} b${block} ${scale} a${accuracy}`,
  () => ({ format: 'block-int', bits, block, accuracy, scale }),
];
const fp4 = (element, group, accuracy) => [
  `fp4 ${element} g${group} a${accuracy}`,
  () => ({ format: 'fp4', element, group, accuracy }),
];
const lowRank = (ratio) => [
  `low-rank ${ratio}`,
  (k, n) => ({ format: 'low-rank', rank: Math.floor((ratio * k * n) / (k + n) / 16) * 16 }),
];
const settings = [
  ['dense', () => ({ format: 'dense' })],
  blockInt(8, 64, 4),
  blockInt(8, 32, 4),
  blockInt(8, 128, 4),
  blockInt(8, 64, 1),
  blockInt(4, 16, 4),
  blockInt(4, 32, 4),
  blockInt(4, 64, 4),
  blockInt(4, 128, 4),
  blockInt(4, 32, 1),
  ['channel-int8', () => ({ format: 'channel-int8' })],
  fp4('E2M1', 0, 4),
  fp4('E2M1', 32, 4),
  fp4('E1M2', 32, 4),
  lowRank(0.5),
  lowRank(0.25),
];

function random({ dtype, shape }) {
  const count = shape.reduce((a, b) => a * b, 1);
  if (dtypes[dtype].kind === 'float') {
    return fromNumbers(
      dtype,
      shape,
      Float32Array.from({ length: count }, () => 0.01 + 0.02 * Math.random()),
    );
  }
  const data = new dtypes[dtype].array(count);
  for (let i = 0; i < count; i++) data[i] = Math.random() * 256;
  return ndarray(dtype, shape, data);
}

async function open(spec, columns, rows) {
  const s = Scope.root({ format: (path) => (path === 'm' ? spec : undefined) });
  const x = input('x', 'f32', ['m', columns]);
  const g = simplify(graph({ y: matrixProduct(s.at('m'), x, { rows, columns }) }));
  const frozen = new Map([...g.parameters].map(([name, tensor]) => [name, random(tensor)]));
  const bytes = encodeModel(toOnnx(g, { frozen }));
  return await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: THREADS,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

async function measure(columns, rows, m) {
  const x = new ort.Tensor(
    'float32',
    new Float32Array(m * columns).map(() => Math.random() - 0.5),
    [m, columns],
  );
  const y = new ort.Tensor('float32', new Float32Array(m * rows), [m, rows]);
  const entries = [];
  for (const [name, specOf] of settings) {
    const session = await open(specOf(columns, rows), columns, rows);
    const run = () => session.run({ x }, { y });
    for (let i = 0; i < 3; i++) await run();
    entries.push({ name, session, run, times: [] });
  }
  const started = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    if (round >= FEWEST && performance.now() - started > BUDGET_MS) break;
    for (const { run, times } of entries) {
      const begin = performance.now();
      let best = Number.POSITIVE_INFINITY;
      let last = begin;
      do {
        await run();
        const now = performance.now();
        best = Math.min(best, now - last);
        last = now;
      } while (last - begin < SLICE_MS);
      times.push(best);
    }
  }
  for (const { session } of entries) await session.release();
  const [dense] = entries;
  return entries.map(({ name, times }) => ({
    name,
    // The best times compare the kernels; the median of the ratios tells whether others disturbed.
    best: Math.min(...times) / Math.min(...dense.times),
    ratio: median(times.map((t, i) => t / dense.times[i])),
    ms: Math.min(...times),
  }));
}

const wanted = process.argv.slice(2);
console.log(
  `${cpus()[0].model}, ${THREADS} threads, load ${loadavg()
    .map((l) => l.toFixed(1))
    .join(' ')}`,
);
for (const [columns, rows] of [
  [512, 1536],
  [2048, 8192],
]) {
  if (wanted.length > 0 && !wanted.includes(`${columns}x${rows}`)) continue;
  const sizes = [1, 32, 128, 1024];
  const results = [];
  for (const m of sizes) results.push(await measure(columns, rows, m));
  console.log(
    `\n${columns} -> ${rows}: best time relative to dense, ~ median ratio, best time, ${sizes.map((m) => `${m} rows`).join(', ')}`,
  );
  for (const [i, { name }] of results[0].entries()) {
    const cells = results.map(({ [i]: { best, ratio, ms } }) =>
      `${best.toFixed(2)}x ~${ratio.toFixed(2)} ${ms.toFixed(2)}ms`.padStart(24),
    );
    console.log(name.padEnd(28) + cells.join(''));
  }
  console.log(
    `load ${loadavg()
      .map((l) => l.toFixed(1))
      .join(' ')}`,
  );
}
