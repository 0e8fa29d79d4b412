// Rotary positions past the length that a model was trained at: its frequencies are slowed down, all
// alike or the slow ones only. Linear interpolation (Chen et al. 2023), Llama 3.1's bands, and YaRN
// (Peng et al. 2023, section 3). Rules that look at the length of the text (dynamic NTK) are not here.
import { z } from 'zod';

const factor = z.number().min(1);
const originalLength = z.number().positive();

const linear = z.strictObject({ kind: z.literal('linear'), factor });

const llama3 = z.strictObject({
  kind: z.literal('llama3'),
  factor,
  /** Waves that fit into the original length at most so often are slowed by the whole factor. */
  lowFrequency: z.number().positive(),
  /** Waves that fit in at least so often are left alone. */
  highFrequency: z.number().positive(),
  originalLength,
});

const yarn = z.strictObject({
  kind: z.literal('yarn'),
  factor,
  /** Turns within the original length from which a feature is left alone. */
  betaFast: z.number().positive().default(32),
  /** Turns up to which a feature is slowed by the whole factor. */
  betaSlow: z.number().positive().default(1),
  originalLength,
  /** Whether the ramp between the two begins and ends at whole features. */
  truncate: z.boolean().default(true),
  /** Factor of queries and keys; 0.1 ln(factor) + 1 unless told. */
  amplitude: z.number().positive().optional(),
});

export const ropeScaling = z.discriminatedUnion('kind', [linear, llama3, yarn]);
export type RopeScaling = z.output<typeof ropeScaling>;

/** What is rotated: `width` features in pairs, pair i by base^(-2i/width) a place. */
type Rotation = { base: number; width: number; scaling?: RopeScaling | undefined };

/** Radians a place of each pair of features, and the factor of what is rotated. */
export function rotaryFrequencies({ base, width, scaling }: Rotation): {
  frequencies: number[];
  amplitude: number;
} {
  const plain = Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));
  if (!scaling) return { frequencies: plain, amplitude: 1 };
  const slower = slowed[scaling.kind] as (o: RopeScaling, r: Rotation) => Slowed;
  const share = slower(scaling, { base, width });
  return {
    frequencies: plain.map((f, i) => f * (1 - share(f, i) + share(f, i) / scaling.factor)),
    amplitude: scaling.kind === 'yarn' ? (scaling.amplitude ?? yarnAmplitude(scaling.factor)) : 1,
  };
}

const yarnAmplitude = (scale: number): number => 0.1 * Math.log(scale) + 1;

/** How much of the factor a frequency takes, 0 to 1. */
type Slowed = (frequency: number, pair: number) => number;

const clamped = (x: number): number => Math.min(1, Math.max(0, x));

const slowed: {
  [K in RopeScaling['kind']]: (o: Extract<RopeScaling, { kind: K }>, r: Rotation) => Slowed;
} = {
  linear: () => () => 1,
  llama3: (o) => (frequency) => {
    const turns = (o.originalLength * frequency) / (2 * Math.PI);
    return 1 - clamped((turns - o.lowFrequency) / (o.highFrequency - o.lowFrequency));
  },
  yarn: (o, { base, width }) => {
    /** The pair, as a real number, that makes so many turns within the original length. */
    const pairAt = (turns: number) =>
      (width * Math.log(o.originalLength / (turns * 2 * Math.PI))) / (2 * Math.log(base));
    const [fast, slow] = [pairAt(o.betaFast), pairAt(o.betaSlow)];
    const low = Math.max(0, o.truncate ? Math.floor(fast) : fast);
    const high = Math.min(width - 1, o.truncate ? Math.ceil(slow) : slow);
    return (_, pair) => clamped((pair - low) / (high === low ? 0.001 : high - low));
  },
};
