// The training step: one graph, parameters written in place, against the reference interpreter.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { feedsOf, tokenize } from '../src/models/encoder.js';
import { initialModel } from '../src/models/initial.js';
import { buildProgram } from '../src/models/model.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import {
  cost,
  fromNumbers,
  interpret,
  type NDArray,
  type Tensor,
  toNumbers,
  zerosOf,
} from '../src/tensor/index.js';
import { simplify } from '../src/tensor/simplify.js';
import { causalLm } from '../src/train/objectives.js';
import { adafactor, adamw, lion, type Optimizer, sgd } from '../src/train/optimizers.js';
import { constantRate, cosine } from '../src/train/schedules.js';
import { stepGraph } from '../src/train/step.js';
import { openTraining } from '../src/train/training.js';
import { sampleTexts, smallDecoder } from './support/small-models.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice();
});
afterAll(() => device.dispose());

const optimizers: Optimizer[] = [
  adamw(),
  sgd(),
  sgd({ momentum: 0 }),
  sgd({ nesterov: true }),
  lion(),
  adafactor(),
];
const model = smallDecoder(4);
const ids = tokenize(model, sampleTexts);
const batch = (): Record<string, NDArray> => feedsOf([0, 1, 2, 3], ids);

describe.each(optimizers.map((o, i) => [`${i} ${o.name}`, o] as const))('%s', (_, optimizer) => {
  const options = {
    optimizer,
    rate: 0.01,
    schedule: cosine({ steps: 20, warmup: 2 }),
    clip: 1,
    decay: 0.1,
  };

  it('gives on the device what the reference gives, step after step', async () => {
    await using training = await openTraining(model, causalLm(), options, device);
    const { graph: forward, declarations } = buildProgram(model, (s) => ({
      loss: causalLm()(s, model).loss,
    }));
    const loss = forward.outputs.get('loss') as Tensor;
    const { graph, state } = stepGraph(loss, {}, declarations, options);
    let held = new Map<string, NDArray>();
    for (const name of declarations.parameters.keys())
      held.set(name, await model.weights.read(name));
    for (const { name, shape } of state) held.set(name, zerosOf('f32', shape));
    for (let i = 0; i < 3; i++) {
      const { outputs, updates } = interpret(graph, batch(), held);
      const { loss: measured, norm } = await training.run(batch());
      expect(measured).toBeCloseTo(toNumbers(outputs.get('loss') as NDArray)[0], 4);
      expect(norm).toBeCloseTo(toNumbers(outputs.get('norm') as NDArray)[0], 3);
      held = new Map([...held, ...updates]);
    }
    const now = await training.state();
    let worst = 0;
    for (const [name, array] of held) {
      const [a, b] = [toNumbers(array), toNumbers(now.get(name) as NDArray)];
      // Signs of gradients near zero may differ in float32: Lion and Adam turn them into whole steps.
      for (let i = 0; i < a.length; i++) if (Math.abs(a[i] - b[i]) > 2e-4) worst++;
    }
    const total = [...held.values()].reduce((sum, { data }) => sum + data.length, 0);
    expect(worst / total).toBeLessThan(0.002);
  });

  it('learns a few sentences by heart', async () => {
    const rate = { adamw: 0.01, lion: 0.003, adafactor: 0.02, sgd: 0.3 }[optimizer.name] ?? 0.01;
    await using training = await openTraining(
      model,
      causalLm(),
      { optimizer, rate, schedule: constantRate({ warmup: 5 }), clip: 1 },
      device,
    );
    const first = (await training.run(batch())).loss;
    let last = first;
    for (let i = 0; i < 80; i++) last = (await training.run(batch())).loss;
    expect(first).toBeGreaterThan(3);
    expect(last).toBeLessThan(optimizer.name === 'sgd' ? 2.4 : 1.5);
  });
});

describe('a run', () => {
  const options = { optimizer: adamw(), rate: 0.01, schedule: constantRate(), clip: 1 };

  it('is the same to the bit when done again, and when saved and restored half-way', async () => {
    const losses = async (steps: number, from?: ReadonlyMap<string, NDArray>) => {
      await using training = await openTraining(model, causalLm(), options, device);
      if (from) await training.restore(from);
      const seen: number[] = [];
      for (let i = 0; i < steps; i++) seen.push((await training.run(batch())).loss);
      return { seen, state: await training.state() };
    };
    const whole = await losses(8);
    const half = await losses(4);
    const rest = await losses(4, half.state);
    expect([...half.seen, ...rest.seen]).toEqual(whole.seen);
    expect(rest.state).toEqual(whole.state);
  });

  it('leaves frozen groups alone, and the model that it began from', async () => {
    const before = await model.weights.read('model.norm.weight');
    const copy = Float32Array.from(before.data as Float32Array);
    const frozen = { match: (name: string) => name.includes('layers.0'), rate: 0 };
    await using training = await openTraining(
      model,
      causalLm(),
      { ...options, groups: [frozen] },
      device,
    );
    await training.run(batch());
    const after = await training.snapshot();
    expect(await after.weights.read('model.layers.0.mlp.up_proj.weight')).toEqual(
      await model.weights.read('model.layers.0.mlp.up_proj.weight'),
    );
    expect(await after.weights.read('model.norm.weight')).not.toEqual(before);
    expect(before.data).toEqual(copy);
  });

  it('counts tied weights once', async () => {
    await using training = await openTraining(model, causalLm(), options, device);
    expect(training.step.trained.filter((name) => name.includes('embed'))).toHaveLength(1);
    expect(training.step.trained).not.toContain('lm_head.weight');
    expect(fromNumbers('f32', [], [1]).shape).toEqual([]);
  });
});

describe('recomputation', () => {
  const options = { optimizer: adamw(), rate: 0.01, schedule: constantRate(), clip: 1 };
  const many = () => ({
    input_ids: fromNumbers(
      'i64',
      [4, 24],
      Array.from({ length: 96 }, (_, i) => (i * 7) % 30),
    ),
    attention_mask: fromNumbers('i64', [4, 24], new Array(96).fill(1)),
  });

  it('keeps less and learns the same', async () => {
    await using kept = await openTraining(model, causalLm(), options, device);
    await using again = await openTraining(model, causalLm(), options, device, { recompute: true });
    for (let i = 0; i < 4; i++) {
      const [a, b] = [await kept.run(many()), await again.run(many())];
      expect(b.loss).toBeCloseTo(a.loss, 5);
      expect(b.norm).toBeCloseTo(a.norm, 4);
    }
  });

  it('keeps less than half of a model of eight blocks, for a forward pass more', async () => {
    const config = { ...model.config, num_hidden_layers: 8 };
    const deep = initialModel({ name: 'deep', config }, { seed: 1 });
    const costs = await Promise.all(
      [false, true].map(async (recompute) => {
        await using training = await openTraining(deep, causalLm(), options, device, { recompute });
        return cost(simplify(training.step.graph), { batch: 16, seq: 128 });
      }),
    );
    expect(costs[1].peakActivationBytes).toBeLessThan(costs[0].peakActivationBytes / 2);
    expect(costs[1].flops / costs[0].flops).toBeLessThan(1.35);
  });
});
