// Files beside config.json that say more of a model. While it is loaded what they say is a key of its
// config, so that everything that copies a model copies that too; a folder has it in the files alone.
import type { FolderFile } from '#platform';
import { familyOf } from './families/registry.js';
import type { Family } from './family.js';
import { generationConfigFiles, readGenerationConfig } from './generation-config.js';
import { isEncoder, type Model } from './model.js';
import { pictureConfig, pictureConfigFiles, readPictureConfig } from './picture-config.js';
import { readSentenceEncoder, sentenceEncoder, sentenceEncoderFiles } from './pooling-config.js';

type SideFiles = {
  readonly key: string;
  /** Models that have them; others' are not read. */
  readonly kind: Family['kind'];
  /** What a folder says; undefined where it says nothing. */
  read(folder: string): Promise<object | undefined>;
  files(value: unknown, model: Model): FolderFile[];
};

const all: readonly SideFiles[] = [
  {
    key: 'sentence_encoder',
    kind: 'encoder',
    read: readSentenceEncoder,
    files: (value, model) => {
      const width = isEncoder(model) ? model.family.width(model.config) : 0;
      return sentenceEncoderFiles(sentenceEncoder.parse(value), width);
    },
  },
  {
    key: 'picture',
    kind: 'vision',
    read: readPictureConfig,
    files: (value) => pictureConfigFiles(pictureConfig.parse(value)),
  },
  ...(['decoder', 'encoder-decoder'] as const).map((kind) => ({
    key: 'generation',
    kind,
    read: readGenerationConfig,
    files: generationConfigFiles,
  })),
];

/** A folder's parsed config.json with what the files beside it say; they come before its own keys. */
export async function withSideFiles(
  config: unknown,
  folder: string,
  file: string,
): Promise<unknown> {
  if (typeof config !== 'object' || config === null) return config;
  const { kind } = familyOf((config as { model_type?: unknown }).model_type, file);
  const said = await Promise.all(
    all
      .filter((one) => one.kind === kind)
      .map(async ({ key, read }) => [key, await read(folder)] as const),
  );
  return { ...config, ...Object.fromEntries(said.filter(([, value]) => value !== undefined)) };
}

/** The files of a model, and its config without what they hold. */
export function sideFiles(model: Model): { files: FolderFile[]; config: object } {
  const config: Record<string, unknown> = { ...model.config };
  const files = all.flatMap((one) => {
    const value = config[one.key];
    if (one.kind !== model.family.kind || value === undefined || value === null) return [];
    delete config[one.key];
    return one.files(value, model);
  });
  return { files, config };
}
