// The machine's own rate of single-precision matrix products, measured through a device: what the
// share of the possible that a model reaches is a share of.
import { fromNumbers, graph, input, parameter, sizeOf } from '../tensor/index.js';
import type { Device } from './device.js';

export type SgemmOptions = {
  /** Side of the square matrices: 1024 is out of every cache level that matters. */
  size?: number;
  /** Measured runs; the fastest counts: what the machine can do, not what it was disturbed to. */
  runs?: number;
  signal?: AbortSignal | undefined;
};

/** GFLOP/s of one n x n x n product with packed weights (2 n^3 operations) on the device's threads. */
export async function machineGflops(device: Device, options: SgemmOptions = {}): Promise<number> {
  const { size = 1024, runs = 15, signal } = options;
  const square = [size, size];
  // Small varied numbers: denormals and NaN would slow the kernel down.
  const values = Float64Array.from(
    { length: sizeOf(square) },
    (_, i) => ((i * 7919) % 2003) / 2003,
  );
  const product = input('x', 'f32', square).matmul(parameter('w', 'f32', square));
  const parameters = new Map([['w', fromNumbers('f32', square, values)]]);
  await using program = await device.compile(graph({ y: product }), { parameters, signal });
  await using x = await device.put(fromNumbers('f32', square, values));
  await using y = await device.allocate('f32', square);
  const once = () => program.run({ x }, { into: { y }, signal });
  for (let i = 0; i < 3; i++) await once();
  const seconds: number[] = [];
  for (let i = 0; i < runs; i++) {
    const begin = performance.now();
    await once();
    seconds.push((performance.now() - begin) / 1000);
  }
  return (2 * size ** 3) / Math.min(...seconds) / 1e9;
}
