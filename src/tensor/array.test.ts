import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elements } from '../../tests/support/arrays.js';
import {
  byteLength,
  bytesOf,
  castArray,
  fromIntegers,
  fromNumbers,
  holds,
  ndarray,
  toIntegers,
  toNumbers,
  zerosOf,
} from './array.js';
import {
  type DType,
  dtypes,
  fromBfloat,
  fromHalf,
  roundHalfEven,
  toBfloat,
  toHalf,
  viewAs,
} from './dtype.js';
import { AnyformerError } from './error.js';

/** (-1)^s 2^(e - bias) (1 + f / 2^m), subnormal where e = 0: IEEE 754, by the definition. */
function decode(bits: number, exponentBits: number, fractionBits: number): number {
  const fraction = bits % 2 ** fractionBits;
  const exponent = Math.floor(bits / 2 ** fractionBits) % 2 ** exponentBits;
  const sign = bits >= 2 ** (exponentBits + fractionBits) ? -1 : 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction ? Number.NaN : sign / 0;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
}

const formats = [
  { name: 'half', from: fromHalf, to: toHalf, exponent: 5, fraction: 10, top: 0x7bff },
  { name: 'bfloat', from: fromBfloat, to: toBfloat, exponent: 8, fraction: 7, top: 0x7f7f },
];

describe.each(formats)('$name', ({ from, to, exponent, fraction, top }) => {
  const sign = 0x8000;

  it('decodes all 65,536 patterns by the definition', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const [actual, expected] = [from(bits), decode(bits, exponent, fraction)];
      if (!Object.is(actual, expected)) expect.fail(`${bits}: ${actual} is not ${expected}`);
    }
  });

  it('round trips all patterns but the payloads of NaN', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = from(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(from(to(value)))).toBe(true);
      else if (to(value) !== bits) expect.fail(`${bits}: ${value} became ${to(value)}`);
    }
  });

  it('rounds everything between two neighbours to the nearer, ties to the even one', () => {
    for (let bits = 0; bits < top; bits++) {
      const [low, high] = [from(bits), from(bits + 1)];
      const middle = (low + high) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      // The middle is exact in float64, and so are its neighbours there.
      const tiny = middle * 2 ** -50;
      const found = [to(middle), to(middle - tiny), to(middle + tiny), to(-middle)];
      const expected = [even, bits, bits + 1, even + sign];
      if (found.some((b, i) => b !== expected[i])) expect.fail(`${bits}: ${found} not ${expected}`);
    }
  });

  it('overflows to infinity half a step above the largest', () => {
    const largest = from(top);
    const step = largest - from(top - 1);
    const edge = largest + step / 2;
    expect(to(edge - step * 2 ** -20)).toBe(top);
    expect(to(edge)).toBe(top + 1);
    expect(to(1e300)).toBe(top + 1);
    expect(to(-1e300)).toBe(top + 1 + sign);
    expect(to(Number.POSITIVE_INFINITY)).toBe(top + 1);
  });

  it('rounds what is too small to zero with its sign', () => {
    const least = from(1);
    expect(to(least / 2)).toBe(0);
    expect(to((least / 2) * (1 + 2 ** -40))).toBe(1);
    expect(to(-least / 4)).toBe(sign);
    expect(to(5e-324)).toBe(0);
    expect(to(-5e-324)).toBe(sign);
    expect(to(-0)).toBe(sign);
  });
});

describe('roundHalfEven', () => {
  it('is the nearest integer, the even one of two', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1e6, max: 1e6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, part) => {
          const value = n + part;
          const rounded = roundHalfEven(value);
          const distance = Math.abs(rounded - value);
          expect(Number.isInteger(rounded)).toBe(true);
          expect(distance).toBeLessThanOrEqual(0.5);
          if (distance === 0.5) expect(Math.abs(rounded % 2)).toBe(0);
        },
      ),
    );
    expect([0.5, 1.5, 2.5, -0.5, -1.5].map((x) => roundHalfEven(x) + 0)).toEqual([0, 2, 2, 0, -2]);
    expect(roundHalfEven(0.49999999999999994)).toBe(0);
    expect(roundHalfEven(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(roundHalfEven(Number.NaN)).toBeNaN();
  });
});

const integers: readonly DType[] = ['i8', 'u8', 'i32', 'u32', 'i64', 'u64'];
const anyInteger = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n });
const width = (dtype: DType): bigint => 2n ** BigInt(8 * dtypes[dtype].bytes);
const wrapped = (value: bigint, dtype: DType): bigint => {
  const rest = ((value % width(dtype)) + width(dtype)) % width(dtype);
  return dtypes[dtype].kind === 'int' && rest >= width(dtype) / 2n ? rest - width(dtype) : rest;
};

describe('arrays', () => {
  it('wrap exact integers to their width', () => {
    fc.assert(
      fc.property(fc.constantFrom(...integers), fc.array(anyInteger), (dtype, values) => {
        const array = fromIntegers(dtype, [values.length], values);
        expect(Array.from(toIntegers(array))).toEqual(values.map((v) => wrapped(v, dtype)));
      }),
    );
  });

  it('cast between integer types as C does', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...integers),
        fc.constantFrom(...integers),
        anyInteger,
        (from, to, value) => {
          const array = fromIntegers(from, [1], [value]);
          const expected = wrapped(wrapped(value, from), to);
          expect(Array.from(toIntegers(castArray(array, to)))).toEqual([expected]);
        },
      ),
    );
  });

  it('cast floats to integers towards zero', () => {
    const floats = fromNumbers('f64', [6], [-1.9, 1.9, -0.5, 300.7, Number.NaN, 1 / 0]);
    expect(elements(castArray(floats, 'i32'))).toEqual([-1, 1, 0, 300, 0, 0]);
    expect(elements(castArray(floats, 'i64'))).toEqual([-1n, 1n, 0n, 300n, 0n, 0n]);
    expect(elements(castArray(floats, 'u8'))).toEqual([255, 1, 0, 44, 0, 0]);
    expect(elements(castArray(floats, 'bool'))).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('cast float64 to f16 by one rounding', () => {
    const value = 1 + 2 ** -11 + 2 ** -40;
    const half = castArray(fromNumbers('f64', [1], [value]), 'f16');
    expect(toNumbers(half)[0]).toBe(1 + 2 ** -10);
  });

  it('cast to a float and back without loss where it holds the values', () => {
    for (const dtype of ['f64', 'f32', 'f16', 'bf16'] as const) {
      const array = fromNumbers('i64', [3], [-128, 0, 100]);
      expect(castArray(castArray(array, dtype), 'i64')).toEqual(array);
    }
    const same = fromNumbers('f32', [1], [1]);
    expect(castArray(same, 'f32')).toBe(same);
  });

  it('tell what a type holds', () => {
    const table: readonly (readonly [DType, number, boolean])[] = [
      ['u8', 255, true],
      ['u8', 256, false],
      ['u8', -1, false],
      ['i8', -128, true],
      ['i8', 128, false],
      ['i32', 0.5, false],
      ['i64', 2 ** 53, true],
      ['i64', 2 ** 63, false],
      ['u64', 2 ** 63, true],
      ['i64', Number.POSITIVE_INFINITY, false],
      ['bool', 1, true],
      ['bool', 2, false],
      ['f32', 0.1, true],
      ['f16', 1e9, true],
    ];
    for (const [dtype, value, expected] of table) expect(holds(dtype, value)).toBe(expected);
  });

  it('refuse data of another length or another kind', () => {
    expect(() => ndarray('f32', [2, 2], new Float32Array(3))).toThrow(/needs 4 elements/);
    expect(() => ndarray('f32', [1], new Float64Array(1))).toThrow(/does not hold f32/);
    expect(() => ndarray('f16', [1], new Int8Array(1))).toThrow(AnyformerError);
    expect(() => fromNumbers('f32', [3], [1])).toThrow(/does not fit the values/);
  });

  it('show their bytes without copying', () => {
    const array = zerosOf('i32', [2]);
    const bytes = bytesOf(array);
    bytes[4] = 7;
    expect(elements(array)).toEqual([0, 7]);
    expect(byteLength(array)).toBe(8);
    expect([...viewAs('i32', bytes)]).toEqual([0, 7]);
    expect(viewAs('i32', bytes).buffer).toBe(array.data.buffer);
    const odd = new Uint8Array(9).subarray(1);
    odd[0] = 1;
    expect([...viewAs('u32', odd)]).toEqual([1, 0]);
    expect(() => viewAs('i32', odd.subarray(1))).toThrow(/whole i32 elements/);
  });
});
