// generation_config.json: how a model's author means it to be used: the tokens that end a text, the
// temperature. While a model is loaded it is the key `generation` of its config (side-files.ts).
import { exists, type FolderFile, joinPath } from '#platform';
import { readConfigFile } from './config-file.js';
import { isJsonObject, type JsonValue } from './json-strict.js';
import type { Model } from './model.js';

const FILE = 'generation_config.json';

export async function readGenerationConfig(folder: string): Promise<object | undefined> {
  const file = joinPath(folder, FILE);
  if (!(await exists(file))) return undefined;
  const value = (await readConfigFile(file)) as JsonValue;
  return isJsonObject(value) ? value : undefined;
}

export const generationConfigFiles = (value: unknown): FolderFile[] => [
  { name: FILE, chunks: new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`) },
];

/** What the model's author says of generation, by Hugging Face's names; the config's end tokens too. */
export function generationOf({ config }: Model): Readonly<Record<string, unknown>> {
  const said = config.generation;
  const given = typeof said === 'object' && said !== null ? said : {};
  const ends = config.eos_token_id;
  return { ...(ends === undefined || ends === null ? {} : { eos_token_id: ends }), ...given };
}
