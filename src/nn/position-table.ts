// Positions added to embeddings: a trained table, and sinusoids with the standard frequencies.
import type { Tensor } from '../tensor/index.js';
import { embedding } from './linear.js';
import { sinusoid } from './position.js';
import type { Scope } from './scope.js';

/** Frequencies base^(-2k/width), k = 0 .. width/2 - 1 (Vaswani et al. 2017). */
export const sinusoidFrequencies = (width: number, base = 10000): number[] =>
  Array.from({ length: width / 2 }, (_, k) => base ** ((-2 * k) / width));

/** positions i64[batch, seq] -> [batch, seq, width], sines first. */
export const sinusoidPositions = (positions: Tensor, width: number, base?: number): Tensor =>
  sinusoid(positions, sinusoidFrequencies(width, base));

/**
 * Rows of a trained table [length, width]. It has no row for a position of `length` or more: the
 * model's context is `length`, and the device refuses an index outside the table.
 */
export const learnedPositions = (
  s: Scope,
  positions: Tensor,
  { length, width }: { length: number; width: number },
): Tensor => embedding(s, positions, length, width);
