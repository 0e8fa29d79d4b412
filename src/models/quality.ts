// The quality record that travels with every model that was compressed or converted: on which data
// it was measured, by which metric, before and after.
import { z } from 'zod';

export const qualityRecord = z.object({
  /** What was measured on: a name, the number of examples, and the hash of their text. */
  data: z.object({ name: z.string(), examples: z.int().nonnegative(), sha256: z.string() }),
  /** The model that it was made from. */
  original: z.string(),
  /** `before` is the original's value on the same data; null where the metric compares the two. */
  metrics: z.record(z.string(), z.object({ before: z.number().nullable(), after: z.number() })),
  /** The library's version and the device that measured. */
  measuredBy: z.object({ version: z.string(), device: z.string(), threads: z.int().positive() }),
});

export type QualityRecord = z.output<typeof qualityRecord>;
