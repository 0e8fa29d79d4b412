// Windows over a token stream for scoring it with a model of bounded context: they overlap, and each
// token is predicted in one of them, with as much before it as the overlap gives.
import { AnyformerError } from '../tensor/error.js';

export type Window = {
  /** First token and length in the stream. */
  readonly start: number;
  readonly length: number;
  /** The predictions of this window that count: those of its tokens from this one on. */
  readonly from: number;
};

/**
 * Windows of `context` tokens, each `stride` after the one before: every token but the first is
 * predicted once, those beyond the first window after at least `context - stride` tokens. Errors:
 * `data/stride`.
 */
export function stridedWindows(
  length: number,
  { context, stride }: { context: number; stride: number },
): Window[] {
  if (!Number.isInteger(stride) || stride < 1 || stride >= context) {
    throw new AnyformerError('data/stride', {
      what: `a stride of ${stride} tokens over a context of ${context}`,
      expected: `a whole number from 1 to ${context - 1}`,
      found: String(stride),
    });
  }
  const windows: Window[] = [];
  let predicted = 1;
  for (let start = 0; predicted < length; start += stride) {
    const end = Math.min(start + context, length);
    windows.push({ start, length: end - start, from: predicted - start });
    predicted = end;
  }
  return windows;
}
