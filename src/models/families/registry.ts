// Every model family, by the `model_type` of its config.json.
import { AnyformerError, nearest } from '../../tensor/index.js';
import type { Family } from '../family.js';
import { bert } from './bert.js';
import { distilbert } from './distilbert.js';
import { gptNeox } from './gpt-neox.js';
import { gpt2 } from './gpt2.js';
import { llama } from './llama.js';
import { metaformer } from './metaformer.js';
import { mistral } from './mistral.js';
import { moonshine } from './moonshine.js';
import { opt } from './opt.js';
import { poolformer } from './poolformer.js';
import { qwen2, qwen3 } from './qwen.js';
import { roberta } from './roberta.js';
import { t5 } from './t5.js';
import { useLite } from './use-lite.js';
import { deit, vit } from './vit.js';

const all = [
  useLite,
  bert,
  roberta,
  distilbert,
  gpt2,
  opt,
  gptNeox,
  llama,
  mistral,
  qwen2,
  qwen3,
  metaformer,
  poolformer,
  vit,
  deit,
  t5,
  moonshine,
] as unknown as Family[];

const byType: ReadonlyMap<string, Family> = new Map(
  all.flatMap((family) => family.modelTypes.map((type) => [type, family] as const)),
);

export function familyOf(modelType: unknown, file = 'config.json'): Family {
  const family = typeof modelType === 'string' ? byType.get(modelType) : undefined;
  if (family) return family;
  const name = typeof modelType === 'string' ? modelType : JSON.stringify(modelType);
  throw new AnyformerError('models/unknown-family', {
    what: `${file}: the model_type ${name === undefined ? 'is missing' : `'${name}' is not supported`}`,
    expected: [...byType.keys()].join(', '),
    found: name ?? 'nothing',
    hint: name === undefined ? undefined : `nearest: ${nearest(name, byType.keys(), 1)[0]}`,
  });
}
