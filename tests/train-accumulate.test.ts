// Gradients added up over several batches are those of the big batch; evaluation reads the same weights.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { feedsOf, tokenize } from '../src/models/encoder.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { type NDArray, toNumbers } from '../src/tensor/index.js';
import { causalLm } from '../src/train/objectives.js';
import { adamw, type Optimizer, sgd } from '../src/train/optimizers.js';
import { constantRate } from '../src/train/schedules.js';
import { openTraining, type Training } from '../src/train/training.js';
import { sampleTexts, smallDecoder } from './support/small-models.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice();
});
afterAll(() => device.dispose());

const model = smallDecoder(5);
// Of very different lengths: batches count different numbers of tokens.
const ids = tokenize(model, sampleTexts);
const big = () => feedsOf([0, 1, 2, 3, 4, 5, 6, 7], ids);
const parts = () => [
  feedsOf([0, 1, 6], ids),
  feedsOf([2], ids),
  feedsOf([3, 4], ids),
  feedsOf([5, 7], ids),
];
const options = (optimizer: Optimizer) => ({
  optimizer,
  rate: 0.01,
  schedule: constantRate(),
  clip: 1,
  decay: 0.1,
});

const weightsOf = async (training: Training) => (await training.snapshot()).weights;

describe.each([sgd(), adamw()].map((o) => [o.name, o] as const))('with %s', (name, optimizer) => {
  it('four unequal batches make the step of the whole one', async () => {
    await using whole = await openTraining(model, causalLm(), options(optimizer), device);
    await using summed = await openTraining(model, causalLm(), options(optimizer), device, {
      accumulate: 4,
    });
    // More than one step: the sums must begin anew.
    for (let i = 0; i < 3; i++) {
      const [a, b] = [await whole.run(big()), await summed.run(parts())];
      expect(b.loss).toBeCloseTo(a.loss, 4);
      expect(b.norm).toBeCloseTo(a.norm, 3);
      expect(b.accuracy).toBeCloseTo(a.accuracy, 4);
    }
    const [a, b] = [await weightsOf(whole), await weightsOf(summed)];
    let [worst, count] = [0, 0];
    for (const weight of a.names()) {
      const [x, y] = [await a.read(weight), await b.read(weight)].map(toNumbers);
      // Adam turns the sign of a gradient near zero into a whole step.
      x.forEach((value, i) => {
        if (Math.abs(value - y[i]) > (name === 'sgd' ? 2e-6 : 2e-4)) worst++;
      });
      count += x.length;
    }
    expect(worst / count).toBeLessThan(name === 'sgd' ? 1e-9 : 0.002);
  });
});

it('evaluates without changing anything, and sees each step', async () => {
  await using training = await openTraining(model, causalLm(), options(adamw()), device);
  const before = await training.evaluate(big());
  const state = await training.state();
  expect(await training.state()).toEqual(state);
  const first = await training.run(big());
  expect(before.loss).toBeCloseTo(first.loss, 5);
  expect(before.weight).toBe(
    toNumbers(big().attention_mask as NDArray).reduce((a, b) => a + b, 0) - 8,
  );
  const after = await training.evaluate(big());
  expect(after.loss).toBeLessThan(before.loss);
});

it('refuses another number of batches', async () => {
  await using training = await openTraining(model, causalLm(), options(sgd()), device, {
    accumulate: 2,
  });
  await expect(training.run(big())).rejects.toMatchObject({ code: 'train/accumulate' });
});
