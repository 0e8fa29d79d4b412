// What a model family is: a config schema and functions that build graphs over a scope. A family is
// one file in `families/`, listed in `families/registry.ts`.
import type { ZodType } from 'zod';
import type { MixState, StateSpec } from '../mixers/mixer.js';
import type { Scope } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';

type Common<C> = {
  /** The `model_type` values of config.json that it reads. */
  readonly modelTypes: readonly string[];
  readonly config: ZodType<C>;
  readonly vocabulary: (config: C) => number;
  /** Longest sequence in tokens. */
  readonly context: (config: C) => number;
};

/** Text in, one vector a text out. */
export type EncoderFamily<C> = Common<C> & {
  readonly kind: 'encoder';
  readonly width: (config: C) => number;
  /**
   * ids: i64[batch, seq]; mask: bool[batch, seq], true where a token stands, undefined where every
   * place holds one. Returns float32[batch, width].
   */
  encode(s: Scope, config: C, inputs: { ids: Tensor; mask: Tensor | undefined }): Tensor;
};

export type DecoderInputs = {
  /** i64[batch, seq]. */
  ids: Tensor;
  /** i64[batch, seq]: the place of each token in its text. */
  positions: Tensor;
  /** bool, broadcasts to [batch, heads, queries, keys]. */
  mask: Tensor;
  /** One a layer; absent in a pass over whole sequences without decoding. */
  states?: readonly MixState[];
  /** Picks from hidden[batch, seq, width] the places that the head scores; all unless told. */
  keep?: (hidden: Tensor) => Tensor;
};

/** Tokens in, scores of the next token out. */
export type DecoderFamily<C> = Common<C> & {
  readonly kind: 'decoder';
  /** Scores of the next token after each place kept: float32[batch, seq, vocabulary]. */
  logits(s: Scope, config: C, inputs: DecoderInputs): Tensor;
  /** What decoding keeps for each layer. */
  states(config: C): readonly Readonly<Record<string, StateSpec>>[];
};

/** A picture in, one score a class out; it has no vocabulary, and its context is of places. */
export type VisionFamily<C> = Common<C> & {
  readonly kind: 'vision';
  /** The picture's size: channels, height, width. */
  readonly picture: (config: C) => readonly [channels: number, height: number, width: number];
  /** pixels: f32[batch, channels, height, width] -> f32[batch, classes]. */
  scores(s: Scope, config: C, pixels: Tensor): Tensor;
};

export type Family<C = unknown> = EncoderFamily<C> | DecoderFamily<C> | VisionFamily<C>;

export const encoderFamily = <C>(family: EncoderFamily<C>): EncoderFamily<C> => family;
export const visionFamily = <C>(family: VisionFamily<C>): VisionFamily<C> => family;
export const decoderFamily = <C>(family: DecoderFamily<C>): DecoderFamily<C> => family;
