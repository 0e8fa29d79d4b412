// The cases that the reference kernels are proven by, on the CPU device.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import { input, Tensor } from '../../src/tensor/index.js';
import { opCases } from '../support/op-cases/index.js';
import { expectParity } from './support.js';

/**
 * Where ONNX Runtime's CPU kernels are known to fall short of the reference. A case that passes in
 * spite of standing here fails the suite, so that the list stays true.
 */
const shortcomings: Readonly<Record<string, string>> = {
  'min: u64': 'no kernel',
  'sum: i32 wraps': 'saturates',
  'prod: i32 keeps the low bits': 'saturates',
  'max: NaN': 'a NaN is passed over',
};

describe('the op cases on the CPU device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  for (const { row, what, inputs, shapes = {}, build, tolerance } of opCases) {
    const name = `${row}: ${what}`;
    const outputs = () => {
      const leaves = Object.entries(inputs).map(
        ([key, { dtype, shape }]) => [key, input(key, dtype, shapes[key] ?? shape)] as const,
      );
      const made = build(Object.fromEntries(leaves));
      const results = made instanceof Tensor ? [made] : made;
      // The inputs are results too, so that one whose size alone is used stays in the graph.
      return Object.fromEntries([
        ...results.map((tensor, i) => [`result ${i}`, tensor]),
        ...leaves.map(([key, leaf]) => [`given ${key}`, leaf]),
      ]);
    };
    const parity = () => expectParity(device, outputs(), inputs, tolerance);
    const known = shortcomings[name];
    if (known === undefined) it(name, parity);
    else it(`${name} (${known})`, () => expect(parity()).rejects.toThrow());
  }
});
