// The token-mixer contract: one file, one options schema, one function, and where the method allows
// it an incremental state for decoding.
import type { ZodType } from 'zod';
import type { Scope } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';

export type MixContext = {
  /**
   * Which keys a query may see: bool, broadcasts to [batch, heads, queries, keys]; the keys of the
   * past, whole capacity, come before the new ones. What a query that may see none gets is finite,
   * and for nobody to read.
   */
  mask?: Tensor | undefined;
  /**
   * Added to the scaled scores before the mask: f32, broadcasts to [batch, heads, queries, keys] with
   * the keys in the mask's order. Only for mixers that say they take it.
   */
  bias?: Tensor | undefined;
  /** Position of each token: i64[batch, seq]. */
  positions?: Tensor | undefined;
  /** What earlier tokens left, for decoding. */
  state?: MixState | undefined;
};

/** Named tensors that a mixer keeps between steps, and those it adds to them. */
export type MixState = {
  /** Held by the caller, by name; absent before the first token. */
  past?: Readonly<Record<string, Tensor>>;
  /** Filled by the mixer: the new rows, by name. */
  present: Record<string, Tensor>;
  /**
   * The caller holds past and new rows as one tensor, rows along the last axis but one, and gets all
   * of them as `present`: the form that other programs expect of an exported graph. Only attention.
   */
  joined?: boolean;
};

/**
 * How the caller holds a state tensor: its shape, and the axis along which new rows are written. The
 * mask hides places that hold nothing yet; their numbers must be finite (buffers begin as zeros).
 */
export type StateSpec = { shape: readonly (number | 'batch' | 'capacity')[]; axis: number };

export type TokenMixer<O> = {
  readonly name: string;
  readonly options: ZodType<O>;
  /** Whether it can be causal: `both` means the mask decides. */
  readonly causal: 'both' | 'always' | 'never';
  /** Whether it adds `bias` to its scores; others have no scores, and must not be given one. */
  readonly biased?: boolean;
  /** [batch, seq, width] -> [batch, seq, outWidth]. */
  mix(s: Scope, x: Tensor, options: O, context: MixContext): Tensor;
  /** What decoding keeps; absent where a step needs the whole sequence. */
  state?(options: O): Readonly<Record<string, StateSpec>>;
};

export const tokenMixer = <O>(mixer: TokenMixer<O>): TokenMixer<O> => mixer;
