// What a model family is: a config schema and functions that build graphs over a scope. A family is
// one file in `families/`, listed in `families/registry.ts`.
import type { ZodType } from 'zod';
import type { CrossShapes, CrossState } from '../mixers/cross-attention.js';
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

export type EncoderInputs = {
  /** i64[batch, seq]. */
  ids: Tensor;
  /** bool[batch, seq], true where a token stands; undefined where every place holds one. */
  mask: Tensor | undefined;
  /** i64[batch, seq]: which text of a pair each token is of; all of the first where undefined. */
  types?: Tensor | undefined;
};

/** What one pass of an encoder gives; what a program does not ask for costs nothing. */
export type EncoderOutputs = {
  /** The text's vector: float32[batch, width]. */
  sentence: Tensor;
  /** Every token after the last layer: float32[batch, seq, hidden]. */
  tokens: Tensor;
  /** Scores of the classes that the checkpoint tells apart, where it has a head for them. */
  scores?: Tensor | undefined;
};

/** Text in, one vector a text out. */
export type EncoderFamily<C> = Common<C> & {
  readonly kind: 'encoder';
  readonly width: (config: C) => number;
  /** How many kinds of tokens `types` tells apart; absent where it is not read. */
  readonly tokenTypes?: (config: C) => number;
  /** Names of the classes, in the order of the scores; undefined where the config has no head. */
  readonly classes?: (config: C) => readonly string[] | undefined;
  encode(s: Scope, config: C, inputs: EncoderInputs): EncoderOutputs;
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

/** What an encoder made of a source. */
export type Memory = {
  /** f32[batch, places, width]. */
  hidden: Tensor;
  /** bool[batch, places], true where a place is the source's own; undefined where all are. */
  mask: Tensor | undefined;
};

export type EncoderDecoderInputs = DecoderInputs & {
  /** i64[batch, keys]: the places of past and new keys, in the mask's order. */
  keyPositions: Tensor;
  /** What each layer keeps of the memory: `crossStates`. */
  cross: readonly CrossState[];
  /** bool, broadcasts to [batch, heads, queries, places]. */
  crossMask: Tensor | undefined;
};

type EncoderDecoder<C> = Common<C> & {
  readonly kind: 'encoder-decoder';
  /** Tokens that every target begins with. */
  readonly start: (config: C) => readonly number[];
  /** Keys and values of the memory for each decoder layer, computed once a source. */
  crossStates(s: Scope, config: C, hidden: Tensor): readonly CrossState[];
  /** Their shapes. */
  crossShapes(config: C): readonly CrossShapes[];
  /** Scores of the next target token after each place kept: float32[batch, seq, vocabulary]. */
  logits(s: Scope, config: C, inputs: EncoderDecoderInputs): Tensor;
  /** What decoding keeps of the target for each layer. */
  states(config: C): readonly Readonly<Record<string, StateSpec>>[];
};

/** Text in, text out. Its context is that of the target. */
export type TextToTextFamily<C> = EncoderDecoder<C> & {
  readonly source: 'text';
  /** Longest source in tokens. */
  readonly sourceContext: (config: C) => number;
  /** ids: i64[batch, seq]; mask: bool[batch, seq], undefined where every place holds a token. */
  memory(s: Scope, config: C, inputs: { ids: Tensor; mask: Tensor | undefined }): Memory;
};

/** How sound enters a model. */
export type AudioFormat = {
  /** Samples a second, of one channel in [-1, 1]. */
  readonly rate: number;
  /** Fewer samples make no place of the memory. */
  readonly least: number;
};

/** Speech in, text out. */
export type SpeechToTextFamily<C> = EncoderDecoder<C> & {
  readonly source: 'audio';
  readonly audio: (config: C) => AudioFormat;
  /** samples: f32[batch, samples]; lengths: i64[batch], undefined where all are whole. */
  memory(s: Scope, config: C, inputs: { samples: Tensor; lengths: Tensor | undefined }): Memory;
};

export type EncoderDecoderFamily<C> = TextToTextFamily<C> | SpeechToTextFamily<C>;

/** A picture in, one score a class out; it has no vocabulary, and its context is of places. */
export type VisionFamily<C> = Common<C> & {
  readonly kind: 'vision';
  /** The picture's size: channels, height, width. */
  readonly picture: (config: C) => readonly [channels: number, height: number, width: number];
  /** Names of the classes, in the order of the scores; absent where the config has none. */
  readonly classes?: (config: C) => readonly string[];
  /** pixels: f32[batch, channels, height, width] -> f32[batch, classes]. */
  scores(s: Scope, config: C, pixels: Tensor): Tensor;
};

export type Family<C = unknown> =
  | EncoderFamily<C>
  | DecoderFamily<C>
  | EncoderDecoderFamily<C>
  | VisionFamily<C>;

export const encoderFamily = <C>(family: EncoderFamily<C>): EncoderFamily<C> => family;
export const visionFamily = <C>(family: VisionFamily<C>): VisionFamily<C> => family;
export const decoderFamily = <C>(family: DecoderFamily<C>): DecoderFamily<C> => family;
export const textToTextFamily = <C>(family: TextToTextFamily<C>): TextToTextFamily<C> => family;
export const speechToTextFamily = <C>(family: SpeechToTextFamily<C>): SpeechToTextFamily<C> =>
  family;
