// How a picture becomes numbers, in Hugging Face's preprocessor_config.json: the size, the crop, the
// scale, mean and deviation of each channel. While a model is loaded this is the key `picture` of its
// config; keys that are not read stay as they are. Without the file a picture is stretched to the
// model's size (bilinear) and its bytes go from [0, 255] to [-1, 1].

import { z } from 'zod';
import { exists, type FolderFile, joinPath } from '#platform';
import { checkConfig, readConfigFile } from './config-file.js';

const side = z.int().positive();

/** One number: a square; the shortest edge: the other follows its shape. */
const size = z.union([
  side,
  z.looseObject({ height: side, width: side }),
  z.looseObject({ shortest_edge: side }),
]);

export const pictureConfig = z.looseObject({
  do_resize: z.boolean().default(true),
  size: size.nullish(),
  /** 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic. */
  resample: z.literal([0, 1, 2, 3]).nullish(),
  do_center_crop: z.boolean().default(false),
  crop_size: size.nullish(),
  do_rescale: z.boolean().default(true),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: z.array(z.number()).min(1).nullish(),
  image_std: z.array(z.number().positive()).min(1).nullish(),
});
export type PictureConfig = z.output<typeof pictureConfig>;

const FILE = 'preprocessor_config.json';

/** What the file of a folder says; undefined where there is none. */
export async function readPictureConfig(path: string): Promise<PictureConfig | undefined> {
  const file = joinPath(path, FILE);
  if (!(await exists(file))) return undefined;
  return checkConfig(pictureConfig, await readConfigFile(file), file);
}

export const pictureConfigFiles = (config: PictureConfig): FolderFile[] => [
  { name: FILE, chunks: new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`) },
];
