// What transformers.js 4.3 reads beside the graphs: config.json with the keys that it takes as given,
// generation_config.json, and the names of files by the type of their weights.
import type { FolderFile } from '#platform';
import { generationOf } from './generation-config.js';
import { isDecoder, isEncoderDecoder, type Model } from './model.js';

/** The ending of a graph's name for each `dtype` of transformers.js. */
export const dtypeSuffixes = {
  fp32: '',
  q8: '_quantized',
  int8: '_int8',
  q4: '_q4',
} as const;
export type OnnxDtype = keyof typeof dtypeSuffixes;

/**
 * config.json of an exported folder: the model's own, sizes spelled out that follow from others, and
 * which graphs keep their weights in a file of their own. It loads here again.
 */
export function exportedConfig(
  config: Readonly<Record<string, unknown>>,
  externalFiles: readonly string[],
): Readonly<Record<string, unknown>> {
  // Its reader takes a key that is null as a value.
  const given = Object.entries(config).filter(
    ([key, value]) => value !== null && value !== undefined && key !== 'generation',
  );
  const external =
    externalFiles.length === 0
      ? {}
      : {
          'transformers.js_config': {
            ...(config['transformers.js_config'] as object | undefined),
            use_external_data_format: Object.fromEntries(externalFiles.map((name) => [name, 1])),
          },
        };
  return { ...Object.fromEntries(given), ...spelledOut(config), ...external };
}

/** Sizes that a config may leave out, where they follow from others; its reader wants them all. */
function spelledOut(c: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  for (const side of ['', 'encoder_', 'decoder_']) {
    const key = `${side}num_key_value_heads`;
    if (key in c) out[key] = c[key] ?? c[`${side}num_attention_heads`];
  }
  const { model_type: type } = c;
  const twoSided = type === 't5' || type === 'mt5' || type === 'moonshine';
  if (twoSided) out.is_encoder_decoder = true;
  if (type === 't5' || type === 'mt5') {
    out.num_decoder_layers = c.num_decoder_layers ?? c.num_layers;
  }
  return out;
}

const TOKENS = ['bos_token_id', 'eos_token_id', 'pad_token_id', 'decoder_start_token_id'];

/** generation_config.json of models that generate: the tokens that begin, end and fill up texts. */
export function generationFiles(model: Model): FolderFile[] {
  if (!isDecoder(model) && !isEncoderDecoder(model)) return [];
  const tokens = TOKENS.flatMap((key) => {
    const id = model.config[key];
    return id === null || id === undefined ? [] : [[key, id]];
  });
  const value = { ...Object.fromEntries(tokens), ...generationOf(model) };
  return [jsonFile('generation_config.json', value), ...soundFiles(model)];
}

/** preprocessor_config.json of models that hear: samples enter as they are, at this rate. */
function soundFiles(model: Model): FolderFile[] {
  if (!isEncoderDecoder(model) || model.family.source !== 'audio') return [];
  const value = {
    feature_extractor_type: 'MoonshineFeatureExtractor',
    processor_class: 'MoonshineProcessor',
    feature_size: 1,
    padding_value: 0,
    do_normalize: false,
    sampling_rate: model.family.audio(model.config).rate,
  };
  return [jsonFile('preprocessor_config.json', value)];
}

export const jsonFile = (name: string, value: unknown): FolderFile => ({
  name,
  chunks: new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
});
