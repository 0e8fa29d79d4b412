// What transformers.js 4.3 reads beside the graphs: config.json with the keys that it takes as given,
// generation_config.json, and the names of files by the type of their weights.
import type { FolderFile } from '#platform';
import { keyHeads } from './families/config-keys.js';
import { isDecoder, type Model } from './model.js';

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
  const heads = config as { num_attention_heads?: unknown; hidden_size?: unknown };
  const spelled =
    typeof heads.num_attention_heads === 'number' &&
    typeof heads.hidden_size === 'number' &&
    'num_key_value_heads' in config
      ? { num_key_value_heads: keyHeads(config as Parameters<typeof keyHeads>[0]) }
      : {};
  // Its reader takes a key that is null as a value.
  const given = Object.entries(config).filter(([, value]) => value !== null && value !== undefined);
  const external =
    externalFiles.length === 0
      ? {}
      : {
          'transformers.js_config': {
            ...(config['transformers.js_config'] as object | undefined),
            use_external_data_format: Object.fromEntries(externalFiles.map((name) => [name, 1])),
          },
        };
  return { ...Object.fromEntries(given), ...spelled, ...external };
}

const TOKENS = ['bos_token_id', 'eos_token_id', 'pad_token_id', 'decoder_start_token_id'];

/** generation_config.json of models that generate: the tokens that begin, end and fill up texts. */
export function generationFiles(model: Model): FolderFile[] {
  if (!isDecoder(model)) return [];
  const tokens = TOKENS.flatMap((key) => {
    const id = model.config[key];
    return id === null || id === undefined ? [] : [[key, id]];
  });
  return [jsonFile('generation_config.json', Object.fromEntries(tokens))];
}

export const jsonFile = (name: string, value: unknown): FolderFile => ({
  name,
  chunks: new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
});
