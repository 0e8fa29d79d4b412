// What the Node CPU device costs by itself: `npm run bench:runtime`. Numbers are medians in this
// process on this machine now; the load is printed because it decides them.
import { machine } from '../dist/platform/node.js';
import { cpuDevice } from '../dist/runtime/node-cpu.js';
import { machineGflops } from '../dist/runtime/sgemm.js';
import { graph, input, ndarray, parameter, zerosOf } from '../dist/tensor/index.js';

const rows = [];
const add = (what, value, unit) => rows.push({ what, value, unit });

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Milliseconds of one call: the median of `count` after `count / 5` to warm up. */
async function time(count, call) {
  const times = [];
  for (let i = -Math.ceil(count / 5); i < count; i++) {
    const begin = performance.now();
    await call();
    if (i >= 0) times.push(performance.now() - begin);
  }
  return median(times);
}

const { cpu, parallelism, load, runtime } = await machine();

{
  const device = await cpuDevice();
  const x = input('x', 'f32', ['n']);
  const tiny = await device.compile(graph({ y: x.add(1) }));
  const held = await device.allocate('f32', [4]);
  const target = await device.allocate('f32', [4]);
  const feed = () => ({ x: zerosOf('f32', [4]) });
  add('round trip, 4 numbers there and back', await time(2000, () => tiny.run(feed())), 'ms');
  const kept = () => tiny.run({ x: held }, { into: { y: target } });
  add('round trip, everything stays on the device', await time(2000, kept), 'ms');
  const many = 200;
  const pipelined = await time(10, () => Promise.all(Array.from({ length: many }, kept)));
  add(`the same, ${many} asked for at once, each`, pipelined / many, 'ms');

  const size = 2 ** 20;
  const big = await device.allocate('f32', [size]);
  const bigTarget = await device.allocate('f32', [size]);
  const results = [];
  // Results are kept, so that each needs memory that nobody has used before.
  const fresh = async () => results.push(await tiny.run({ x: big }));
  add('4 MB output, new memory', await time(40, fresh), 'ms');
  results.length = 0;
  let around = ndarray('f32', [size], new Float32Array(size));
  const moved = async () => {
    around = (await tiny.run({ x: around })).y;
  };
  add('4 MB fed and returned, memory goes round', await time(100, moved), 'ms');
  const inPlace = () => tiny.run({ x: big }, { into: { y: bigTarget } });
  add('4 MB output, stays on the device', await time(100, inPlace), 'ms');

  const side = 2048;
  const w = zerosOf('f32', [side, side]);
  const g = graph({
    y: input('x', 'f32', ['n', side]).matmul(parameter('w', 'f32', [side, side])),
  });
  const compile = async () => {
    const program = await device.compile(g, { parameters: new Map([['w', w]]) });
    await program.dispose();
  };
  add('compile with 16 MB of weights, dispose', await time(10, compile), 'ms');
  await device.compile(g, { parameters: new Map([['w', w]]) });
  add('the same, compiled before', await time(20, compile), 'ms');
  await device.dispose();
}

for (const threads of new Set([1, Math.min(2, parallelism), parallelism])) {
  const device = await cpuDevice({ threads });
  for (const size of [1024, 2048]) {
    const gflops = await machineGflops(device, { size, runs: size > 1024 ? 7 : 15 });
    add(`SGEMM ${size}^3, ${threads} thread${threads > 1 ? 's' : ''}`, gflops, 'GFLOP/s');
  }
  await device.dispose();
}

const begin = performance.now();
await (await cpuDevice()).dispose();
add('open and close a device', performance.now() - begin, 'ms');

console.log(
  `${cpu}, ${parallelism} threads, ${runtime}, load ${load.map((l) => l.toFixed(2)).join(' ')}`,
);
for (const { what, value, unit } of rows) {
  const digits = value < 1 ? 3 : value < 10 ? 2 : 0;
  console.log(`${what.padEnd(46)} ${value.toFixed(digits).padStart(8)} ${unit}`);
}
