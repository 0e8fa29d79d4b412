import { describe, expect, it } from 'vitest';
import { type Emitter, fromNumbers, type NDArray, toNumbers, type ValueName } from './index.js';
import { unaryRows } from './ops/unary.js';
import { erf } from './special.js';

/** Fixed-point with 60 decimal digits. */
const one = 10n ** 60n;
/** pi by Machin's formula, pi = 16 atan(1/5) - 4 atan(1/239). */
const arctan = (n: bigint): bigint => {
  let power = one / n;
  let sum = 0n;
  for (let k = 0n; power !== 0n; k++) {
    sum += (k % 2n === 0n ? power : -power) / (2n * k + 1n);
    power /= n * n;
  }
  return sum;
};
const pi = 16n * arctan(5n) - 4n * arctan(239n);
function root(value: bigint): bigint {
  let x = one;
  for (let i = 0; i < 300; i++) x = (x + (value * one) / x) / 2n;
  return x;
}

/** erf of k/16 by its alternating Maclaurin series, 2/sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1)). */
function exactErf(sixteenths: number): number {
  const x = (BigInt(sixteenths) * one) / 16n;
  let power = x;
  let sum = 0n;
  for (let n = 0n; power !== 0n; n++) {
    sum += power / (2n * n + 1n);
    power = (-power * x) / one;
    power = (power * x) / one / (n + 1n);
  }
  const value = (2n * sum * one) / root(pi);
  return Number(value) / Number(one);
}

const arguments_ = Array.from({ length: 16 * 7 }, (_, k) => k);

describe('erf', () => {
  it('is right to 1e-15 at every sixteenth up to 7', () => {
    for (const k of arguments_) {
      const expected = exactErf(k);
      expect(Math.abs(erf(k / 16) - expected), `erf(${k / 16})`).toBeLessThan(1e-15);
      expect(erf(-k / 16) + erf(k / 16)).toBe(0);
    }
  });

  it('keeps its relative accuracy near 0 and its limits', () => {
    const slope = 2 / Math.sqrt(Math.PI);
    for (const x of [1e-300, 1e-20, 1e-9]) expect(erf(x) / (slope * x)).toBeCloseTo(1, 14);
    expect(erf(0)).toBe(0);
    expect(erf(Number.POSITIVE_INFINITY)).toBe(1);
    expect(erf(Number.NEGATIVE_INFINITY)).toBe(-1);
    expect(erf(Number.NaN)).toBeNaN();
  });

  it('is right to 1e-15 as the double graph that is written for ONNX', () => {
    for (const k of arguments_) {
      const x = k / 16;
      const value = runDouble('erf', x);
      expect(Math.abs(value - exactErf(k)), `erf(${x})`).toBeLessThan(1e-15);
    }
    for (const x of [-3, -0.3, 0, 20]) {
      expect(runDouble('erf', x)).toBeCloseTo(erf(x), 15);
      expect(runDouble('gelu', x)).toBeCloseTo(0.5 * x * (1 + erf(x / Math.SQRT2)), 14);
    }
  });
});

/** Runs the float64 lowering of a row on one number, operator by operator. */
function runDouble(name: keyof typeof unaryRows, x: number): number {
  const operators: Record<string, (...v: readonly number[]) => number> = {
    Abs: (a) => Math.abs(a),
    Sign: (a) => Math.sign(a),
    Exp: (a) => Math.exp(a),
    Add: (a, b) => a + b,
    Sub: (a, b) => a - b,
    Mul: (a, b) => a * b,
    Div: (a, b) => a / b,
  };
  const values = new Map<ValueName, number>([['x', x]]);
  const set = (value: number): ValueName => {
    const id = `v${values.size}`;
    values.set(id, value);
    return id;
  };
  const node: Emitter['node'] = (op, inputs) =>
    set(operators[op](...inputs.map((id) => values.get(id) ?? Number.NaN)));
  const unused = () => expect.fail('not an operator of this lowering');
  const emit: Emitter = {
    node,
    nodes: unused,
    constant: (array: NDArray) => set(toNumbers(array)[0]),
    scalar: (dtype, value) => set(toNumbers(fromNumbers(dtype, [], [value]))[0]),
    sizes: unused,
    size: unused,
    cast: unused,
    body: unused,
  };
  const type = { dtype: 'f64', shape: [] } as const;
  const context = { attributes: {}, inputs: [type], outputs: [type], values: ['x'], used: [true] };
  const [result] = [unaryRows[name].lower(emit, context)].flat();
  return values.get(result) ?? Number.NaN;
}
