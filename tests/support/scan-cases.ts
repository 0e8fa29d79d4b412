// Recurrences for the tests of `scan`, in the interpreter and on devices.
import {
  fromNumbers,
  grad,
  input,
  iota,
  type NDArray,
  type ScanOptions,
  scan,
  type Tensor,
  uniformAt,
} from '../../src/tensor/index.js';

export type ScanCase = {
  what: string;
  inputs: Readonly<Record<string, readonly number[]>>;
  shapes?: Readonly<Record<string, readonly (string | number)[]>>;
  /** What the scan is, over leaves of those names. */
  build(leaves: Readonly<Record<string, Tensor>>): ScanOptions;
};

/** A plain recurrent network: h = tanh(x U + h W). */
const rnn = ({ h, x, w, u }: Readonly<Record<string, Tensor>>): ScanOptions => ({
  states: [h],
  inputs: [x],
  step: ([before], [here]) => {
    const next = here.matmul(u).add(before.matmul(w)).tanh();
    return { states: [next], outputs: [next] };
  },
});

const sizes = { h: [2, 3], x: [5, 2, 4], w: [3, 3], u: [4, 3] };
const rows = { h: [2, 3], x: [2, 5, 4], w: [3, 3], u: [4, 3] };

export const scanCases: readonly ScanCase[] = [
  { what: 'a recurrent network', inputs: sizes, build: rnn },
  {
    what: 'sizes of names, along axis 1',
    inputs: rows,
    shapes: { h: ['batch', 3], x: ['batch', 'time', 4], w: [3, 3], u: [4, 3] },
    build: (leaves) => ({ ...rnn(leaves), axis: 1 }),
  },
  {
    what: 'backwards',
    inputs: rows,
    build: (leaves) => ({ ...rnn(leaves), axis: 1, reverse: true }),
  },
  {
    what: 'gradients cut every two steps',
    inputs: sizes,
    build: (l) => ({ ...rnn(l), truncate: 2 }),
  },
  {
    what: 'gradients cut every two steps, backwards',
    inputs: sizes,
    build: (leaves) => ({ ...rnn(leaves), truncate: 2, reverse: true }),
  },
  {
    what: 'a state that is handed on, one that nobody reads, one that counts',
    inputs: { a: [3], b: [3], x: [6, 3], c: [3] },
    shapes: { x: ['time', 3] },
    build: ({ a, b, x, c }) => ({
      states: [a, b, c, iota(1).reshape().cast('i64')],
      inputs: [x],
      step: ([p, q, r, count], [here]) => ({
        // Fibonacci with noise; r is summed, but no output depends on it.
        states: [p.add(q).mul(0.6).add(here), p, r.add(p), count.add(1)],
        outputs: [q.mul(count.cast(q.dtype).add(1).sqrt()), p],
      }),
    }),
  },
  {
    what: 'no inputs: a linear map to a power',
    inputs: { v: [3], m: [3, 3] },
    build: ({ v, m }) => ({
      states: [v.reshape(1, 3)],
      length: 4,
      step: ([at]) => ({ states: [at.matmul(m.mul(0.5).softmax())], outputs: [] }),
    }),
  },
  {
    what: 'a scan inside a scan',
    inputs: { h: [2], x: [3, 4, 2], w: [2] },
    shapes: { x: ['outer', 'inner', 2] },
    build: ({ h, x, w }) => ({
      states: [h],
      inputs: [x],
      step: ([outer], [line]) => {
        const gain = outer.sigmoid();
        const { states, outputs } = scan({
          states: [outer],
          inputs: [line],
          unrollUpTo: 0,
          step: ([at], [here]) => {
            const next = at.mul(w).add(here.mul(gain)).tanh();
            return { states: [next], outputs: [next.mul(next)] };
          },
        });
        return { states: [states[0].mul(0.9)], outputs: [outputs[0].sum(0)] };
      },
    }),
  },
];

export const scanArrays = ({ inputs }: ScanCase, dtype: 'f32' | 'f64'): Record<string, NDArray> =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, shape], k) => {
      const length = shape.reduce((a, b) => a * b, 1);
      const values = Array.from({ length }, (_, i) => 2 * uniformAt(k + 1, i) - 1);
      return [name, fromNumbers(dtype, shape, values)];
    }),
  );

/** The scan's results, a loss that weighs all of their elements, and its gradients. */
export function scanOutputs(one: ScanCase, dtype: 'f32' | 'f64', unrollUpTo: number) {
  const leaves = Object.fromEntries(
    Object.entries(one.inputs).map(([name, shape]) => [
      name,
      input(name, dtype, one.shapes?.[name] ?? shape),
    ]),
  );
  const made = scan({ ...one.build(leaves), unrollUpTo });
  const results = [...made.states, ...made.outputs];
  const weighed = results
    .map((y) => y.cast(dtype).reshape(-1))
    .map((flat, k) =>
      flat
        .mul(
          flat
            .operand(1)
            .broadcastTo(...flat.shape)
            .cumsum(0)
            .add(k)
            .sin(),
        )
        .add(flat.mul(flat).mul(0.3))
        .sum(),
    );
  const loss = weighed.reduce((a, b) => a.add(b));
  const slopes = grad(loss, Object.values(leaves));
  return { leaves, results, loss, slopes };
}
