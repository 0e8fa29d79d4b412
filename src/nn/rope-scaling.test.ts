// Frequencies for longer texts: what stays, what is slowed, and the constants of the published models.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RopeScaling, ropeScaling, rotaryFrequencies } from './rope-scaling.js';

const base = 10000;
const width = 64;
const plain = Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));
const scaled = (scaling?: RopeScaling) => rotaryFrequencies({ base, width, scaling });

it('without a rule, pair i turns by base^(-2i/width) a place', () => {
  expect(scaled()).toEqual({ frequencies: plain, amplitude: 1 });
});

it('linear: all are slowed alike', () => {
  const { frequencies, amplitude } = scaled({ kind: 'linear', factor: 4 });
  for (const [i, f] of plain.entries()) expect(frequencies[i]).toBeCloseTo(f / 4, 12);
  expect(amplitude).toBe(1);
});

describe('llama3', () => {
  const rule = {
    kind: 'llama3',
    factor: 8,
    lowFrequency: 1,
    highFrequency: 4,
    originalLength: 1000,
  } as const;

  it('leaves waves shorter than a quarter of the length, slows those longer than it', () => {
    const { frequencies } = scaled(rule);
    let between = 0;
    for (const [i, f] of plain.entries()) {
      const wave = (2 * Math.PI) / f;
      if (wave < 250) expect(frequencies[i]).toBeCloseTo(f, 12);
      else if (wave > 1000) expect(frequencies[i]).toBeCloseTo(f / 8, 12);
      else {
        between++;
        expect(frequencies[i]).toBeGreaterThan(f / 8);
        expect(frequencies[i]).toBeLessThan(f);
      }
    }
    expect(between).toBeGreaterThan(0);
  });
});

describe('yarn', () => {
  const rule = ropeScaling.parse({ kind: 'yarn', factor: 16, originalLength: 4096 });

  it('leaves pairs of 32 turns and more, slows those of less than one', () => {
    const { frequencies } = scaled(rule);
    for (const [i, f] of plain.entries()) {
      const turns = (4096 * f) / (2 * Math.PI);
      // The ramp ends at whole pairs outside of the two bounds.
      if (turns >= 32 * base ** (2 / width)) expect(frequencies[i]).toBeCloseTo(f, 12);
      if (turns < base ** (-2 / width)) expect(frequencies[i]).toBeCloseTo(f / 16, 12);
    }
  });

  it('makes scores larger by the square of 0.1 ln(factor) + 1, or as told', () => {
    expect(scaled(rule).amplitude).toBeCloseTo(0.1 * Math.log(16) + 1, 12);
    expect(scaled({ ...rule, amplitude: 1 } as RopeScaling).amplitude).toBe(1);
  });
});

it('a factor of 1 changes nothing, and no rule speeds a pair up', () => {
  const rules = (factor: number): RopeScaling[] => [
    { kind: 'linear', factor },
    { kind: 'llama3', factor, lowFrequency: 1, highFrequency: 4, originalLength: 512 },
    ropeScaling.parse({ kind: 'yarn', factor, originalLength: 512 }),
    ropeScaling.parse({ kind: 'yarn', factor, originalLength: 512, truncate: false }),
  ];
  for (const rule of rules(1)) {
    const { frequencies, amplitude } = scaled(rule);
    for (const [i, f] of plain.entries()) expect(frequencies[i]).toBeCloseTo(f, 12);
    expect(amplitude).toBe(1);
  }
  fc.assert(
    fc.property(fc.double({ min: 1, max: 100, noNaN: true }), (factor) => {
      for (const rule of rules(factor)) {
        const { frequencies } = scaled(rule);
        for (const [i, f] of plain.entries()) {
          expect(frequencies[i]).toBeLessThanOrEqual(f * (1 + 1e-12));
          expect(frequencies[i]).toBeGreaterThanOrEqual((f / factor) * (1 - 1e-12));
        }
      }
    }),
  );
});
