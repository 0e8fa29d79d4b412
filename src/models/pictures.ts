// Pictures as a model wants them: resized, cropped, scaled and normed by its preprocessor_config.json.
// Resizing is that of Pillow, with which the published checkpoints were trained: the filter is as wide
// as the step, and bytes are rounded after each direction. Not here: image files, which platforms read.
import { AnyformerError, type NDArray, ndarray } from '../tensor/index.js';
import { isVision, type Model, wrongKind } from './model.js';
import type { PictureConfig } from './picture-config.js';
import { pictureConfig } from './picture-config.js';
import { type Plane, resizePlane } from './picture-resize.js';

/** Rows of pixels from the top, each with 1 (grey), 3 (RGB) or 4 (RGBA) numbers from 0 to 255. */
export type Picture = {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray | Float32Array;
};

type Size = readonly [height: number, width: number];

/**
 * f32[pictures, channels, height, width] for the model. RGBA loses its alpha, and grey becomes RGB where
 * the model has three channels. Errors: `models/picture` for data that does not fit its size, for
 * channels that the model has not, and where the config leads to another size than the model's.
 */
export function pixelsOf(model: Model, pictures: readonly Picture[]): NDArray {
  if (!isVision(model)) throw wrongKind(model, 'vision model');
  const [channels, height, width] = model.family.picture(model.config);
  const told = (model.config as { picture?: PictureConfig | null }).picture;
  const config = pictureConfig.parse(told ?? {});
  const plane = height * width;
  const out = new Float32Array(pictures.length * channels * plane);
  pictures.forEach((picture, i) => {
    planesOf(picture, channels, i).forEach((one, c) => {
      const fitted = fit(one, config, [height, width], i);
      const at = (i * channels + c) * plane;
      const [factor, mean, deviation] = scaleOf(config, c);
      for (let k = 0; k < plane; k++) out[at + k] = (fitted.data[k] * factor - mean) / deviation;
    });
  });
  return ndarray('f32', [pictures.length, channels, height, width], out);
}

const wrong = (index: number, what: string, expected: string, found: string): AnyformerError =>
  new AnyformerError('models/picture', { what: `picture ${index}: ${what}`, expected, found });

/** The channels of a picture, one after another. */
function planesOf({ width, height, data }: Picture, channels: number, index: number): Plane[] {
  const size = width * height;
  const given = data.length / size;
  if (
    ![width, height].every((side) => Number.isInteger(side) && side > 0) ||
    ![1, 3, 4].includes(given)
  ) {
    const expected = 'width x height pixels of 1, 3 or 4 numbers';
    throw wrong(
      index,
      'the data does not fit its size',
      expected,
      `${width} x ${height}, ${data.length} numbers`,
    );
  }
  const colours = given === 4 ? 3 : given;
  if (colours !== channels && colours !== 1) {
    throw wrong(index, 'the model has other channels', String(channels), String(colours));
  }
  const bytes = !(data instanceof Float32Array);
  return Array.from({ length: channels }, (_, c) => {
    const plane = new Float64Array(size);
    for (let k = 0; k < size; k++) plane[k] = data[k * given + (colours === 1 ? 0 : c)];
    return { width, height, data: plane, bytes };
  });
}

function fit(plane: Plane, config: PictureConfig, model: Size, index: number): Plane {
  const { do_resize, do_center_crop, size, crop_size, resample } = config;
  const [height, width] = sizeOf(size ?? undefined, plane, model);
  const sized = do_resize ? resizePlane(plane, height, width, resample ?? 2) : plane;
  const cropped = do_center_crop
    ? crop(sized, sizeOf(crop_size ?? undefined, sized, model))
    : sized;
  if (cropped.height === model[0] && cropped.width === model[1]) return cropped;
  throw wrong(
    index,
    'preprocessor_config.json leads to another size than the model has',
    `${model[1]} x ${model[0]}`,
    `${cropped.width} x ${cropped.height}`,
  );
}

function sizeOf(size: PictureConfig['size'], { width, height }: Plane, model: Size): Size {
  if (size === undefined || size === null) return model;
  if (typeof size === 'number') return [size, size];
  if ('height' in size) return [size.height as number, size.width as number];
  const shortest = size.shortest_edge as number;
  return width <= height
    ? [Math.floor((shortest * height) / width), shortest]
    : [shortest, Math.floor((shortest * width) / height)];
}

/** The middle; zeros around where the picture is smaller. */
function crop({ width, height, data, bytes }: Plane, [rows, columns]: Size): Plane {
  const top = Math.floor((height - rows) / 2);
  const left = Math.floor((width - columns) / 2);
  const out = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [row, column] = [y + top, x + left];
      const inside = row >= 0 && row < height && column >= 0 && column < width;
      if (inside) out[y * columns + x] = data[row * width + column];
    }
  }
  return { width: columns, height: rows, data: out, bytes };
}

/** x -> (x factor - mean) / deviation; lists of one number are for every channel. */
function scaleOf(config: PictureConfig, channel: number): [number, number, number] {
  const factor = config.do_rescale ? config.rescale_factor : 1;
  if (!config.do_normalize) return [factor, 0, 1];
  const of = (list: readonly number[] | null | undefined) =>
    list ? (list.length === 1 ? list[0] : list[channel]) : 0.5;
  const [mean, deviation] = [of(config.image_mean), of(config.image_std)];
  if (mean !== undefined && deviation !== undefined) return [factor, mean, deviation];
  throw new AnyformerError('models/picture', {
    what: 'preprocessor_config.json has too few numbers in image_mean or image_std',
    expected: `one for channel ${channel}`,
    found: `${config.image_mean?.length ?? 0} and ${config.image_std?.length ?? 0}`,
  });
}
