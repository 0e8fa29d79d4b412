// One training step (forward, backward, clipping, AdamW) against Debian's PyTorch on the CPU: the
// same Llama-style model, initial weights and batches. PyTorch runs with each thread setting; the
// fastest counts. Prints the ratio, the first losses of both, and useful FLOPs against the machine's
// own rate of matrix products.
//
//   npm run bench:train            3.5 M parameters, batch 8, sequence 256
//   npm run bench:train -- 30      30 M parameters, batch 4, sequence 256
//   npm run bench:train -- long    500 steps of ours: does memory grow?
//
// The peer: apt install python3-torch libopenblas0-pthread
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialModel } from '../dist/models/initial.js';
import { writeSafetensors } from '../dist/models/safetensors-write.js';
import { cpuDevice } from '../dist/runtime/node-cpu.js';
import { machineGflops } from '../dist/runtime/sgemm.js';
import { bitsAt, cost, fromNumbers } from '../dist/tensor/index.js';
import { causalLm } from '../dist/train/objectives.js';
import { adamw } from '../dist/train/optimizers.js';
import { constantRate } from '../dist/train/schedules.js';
import { openTraining } from '../dist/train/training.js';

const large = process.argv.includes('30');
const steps = large ? 21 : 41;
const [batch, seq] = [large ? 4 : 8, 256];
const shape = large
  ? { hidden_size: 512, intermediate_size: 1408, num_hidden_layers: 9, num_attention_heads: 8 }
  : { hidden_size: 256, intermediate_size: 688, num_hidden_layers: 4, num_attention_heads: 4 };
const config = {
  model_type: 'llama',
  vocab_size: large ? 2048 : 1024,
  ...shape,
  num_key_value_heads: shape.num_attention_heads,
  max_position_embeddings: seq,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
};
const setting = { config, rate: 1e-3, decay: 0.1, clip: 1 };
const model = initialModel({ name: 'bench', config }, { seed: 1 });

// A Markov chain over the vocabulary: something to learn, the same on both sides.
const tokens = new BigInt64Array(steps * batch * seq);
let token = 1;
for (let i = 0; i < tokens.length; i++) {
  const bits = bitsAt(7, i);
  token = bits % 4 === 0 ? (bits >>> 8) % config.vocab_size : (token * 5 + 17) % config.vocab_size;
  tokens[i] = BigInt(token);
}
const batchAt = (step) => ({
  input_ids: {
    dtype: 'i64',
    shape: [batch, seq],
    data: tokens.slice(step * batch * seq, (step + 1) * batch * seq),
  },
  attention_mask: fromNumbers('i64', [batch, seq], new Array(batch * seq).fill(1)),
});
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const device = await cpuDevice();

if (process.argv.includes('long')) {
  const training = await openTraining(
    model,
    causalLm(),
    { optimizer: adamw(), rate: setting.rate, schedule: constantRate(), clip: setting.clip },
    device,
  );
  const resident = [];
  for (let step = 1; step <= 500; step++) {
    await training.run(batchAt(step % steps));
    if (step % 100 === 0) resident.push(Math.round(process.memoryUsage.rss() / 1e6));
  }
  console.log(`resident memory after 100, 200, ... 500 steps: ${resident.join(', ')} MB`);
  process.exit(0);
}

const loadBefore = loadavg()[0];
const compileBegin = performance.now();
const options = {
  optimizer: adamw(),
  rate: setting.rate,
  schedule: constantRate(),
  decay: setting.decay,
  clip: setting.clip,
};
const training = await openTraining(model, causalLm(), options, device);
const compiled = (performance.now() - compileBegin) / 1000;
const ours = { losses: [], seconds: [] };
for (let step = 0; step < steps; step++) {
  const feeds = batchAt(step);
  const begin = performance.now();
  ours.losses.push((await training.run(feeds)).loss);
  ours.seconds.push((performance.now() - begin) / 1000);
}
const peak = process.resourceUsage().maxRSS * 1024;
const { graph } = training.step;
const { flops, peakActivationBytes } = cost(graph, { batch, seq });
let parameters = 0;
const weights = new Map();
for (const name of model.weights.names()) {
  const array = await model.weights.read(name);
  weights.set(name, array);
  parameters += array.data.length;
}
await training[Symbol.asyncDispose]();
const again = { losses: [], seconds: [], bytes: 0 };
{
  const second = await openTraining(model, causalLm(), options, device, { recompute: true });
  for (let step = 0; step < steps >> 1; step++) {
    const feeds = batchAt(step);
    const begin = performance.now();
    again.losses.push((await second.run(feeds)).loss);
    again.seconds.push((performance.now() - begin) / 1000);
  }
  again.bytes = cost(second.step.graph, { batch, seq }).peakActivationBytes;
  await second[Symbol.asyncDispose]();
}
const rate = await machineGflops(device);
await device.dispose();

const folder = await mkdtemp(join(tmpdir(), 'train-bench-'));
const results = [];
try {
  await writeFile(join(folder, 'setting.json'), JSON.stringify(setting));
  const types = [...weights].map(([name, array]) => [name, array]);
  await writeSafetensors(join(folder, 'weights.safetensors'), {
    types,
    read: (name) => weights.get(name),
  });
  const all = { dtype: 'i64', shape: [steps, batch, seq], data: tokens };
  await writeSafetensors(join(folder, 'tokens.safetensors'), {
    types: [['tokens', all]],
    read: () => all,
  });
  const script = new URL('./train_torch.py', import.meta.url).pathname;
  const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...env } = process.env;
  for (const threads of [1, 2]) {
    const run = spawnSync('/usr/bin/python3', [script, folder, String(threads)], {
      env,
      encoding: 'utf8',
      maxBuffer: 1e8,
    });
    if (run.status !== 0) {
      console.error(`PyTorch did not run (${run.stderr.trim().split('\n').at(-1)})`);
      console.error('install it with: apt install python3-torch libopenblas0-pthread');
      break;
    }
    results.push({ threads, ...JSON.parse(run.stdout) });
  }
} finally {
  await rm(folder, { recursive: true });
}

const mine = median(ours.seconds.slice(1));
// Every parameter: a multiply and an add forwards, twice that backwards, for each token; and the two
// products of attention.
const useful =
  6 * parameters * batch * seq +
  12 * batch * seq * seq * shape.hidden_size * shape.num_hidden_layers;
console.log(
  `${(parameters / 1e6).toFixed(2)} M parameters, batch ${batch}, sequence ${seq}, ${device.threads} threads, load ${loadBefore.toFixed(2)}`,
);
console.log(
  `anyformer   ${(mine * 1000).toFixed(0)} ms a step; compiled in ${compiled.toFixed(2)} s; peak ${(peak / 1e6).toFixed(0)} MB, of which activations ${(peakActivationBytes / 1e6).toFixed(0)} MB by the cost model`,
);
console.log(
  `arithmetic  ${(useful / mine / 1e9).toFixed(0)} GFLOP/s in matrix products, ${((100 * useful) / mine / 1e9 / rate).toFixed(0)} % of the machine's own ${rate.toFixed(0)}${large ? '   (wanted: >= 75 %)' : ''}; ${(flops / mine / 1e9).toFixed(0)} with element-wise work`,
);
console.log(
  `recomputing ${(median(again.seconds.slice(1)) / mine).toFixed(2)}x the time (wanted: <= 1.35x), ${(again.bytes / peakActivationBytes).toFixed(2)}x the activations (wanted: <= 0.5x), losses within ${Math.max(...again.losses.map((l, i) => Math.abs(l - ours.losses[i]))).toExponential(1)}`,
);
for (const { threads, seconds, peak: theirs } of results) {
  console.log(
    `PyTorch     ${(median(seconds.slice(1)) * 1000).toFixed(0)} ms a step on ${threads} threads; peak ${(theirs / 1e6).toFixed(0)} MB`,
  );
}
if (results.length > 0) {
  const best = results.reduce((a, b) =>
    median(a.seconds.slice(1)) < median(b.seconds.slice(1)) ? a : b,
  );
  const worst = Math.max(
    ...best.losses.slice(0, 20).map((loss, i) => Math.abs(loss - ours.losses[i])),
  );
  console.log(
    `ratio       ${(median(best.seconds.slice(1)) / mine).toFixed(2)}x   (wanted: >= 1.5x, aim 2x)`,
  );
  console.log(
    `losses      ${ours.losses[0].toFixed(4)} -> ${ours.losses.at(-1).toFixed(4)}; first 20 differ by at most ${worst.toExponential(1)}   (wanted: <= 1e-3)`,
  );
}
