// Resizing one channel as Pillow does: first rows, then columns, each new pixel a weighted mean of the
// old ones under a filter that is stretched by the step when the picture shrinks. Channels of bytes are
// rounded to bytes after each direction, and their weights to a multiple of 2^-22, so that ties fall the
// same way.

export type Plane = {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
  /** Whether its numbers are bytes, and are to stay bytes. */
  readonly bytes: boolean;
};

type Filter = { readonly support: number; weight(x: number): number };

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Keys' cubic with a = -1/2. */
function cubic(x: number): number {
  const [t, a] = [Math.abs(x), -0.5];
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

/** By Pillow's number of the filter. */
const filters: Readonly<Record<number, Filter>> = {
  1: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
  2: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: { support: 2, weight: cubic },
};

/** `resample`: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic. */
export function resizePlane(plane: Plane, height: number, width: number, resample: number): Plane {
  const filter = filters[resample];
  if (!filter) return nearest(plane, height, width);
  const wide = plane.width === width ? plane : alongRows(plane, width, filter);
  if (wide.height === height) return wide;
  return turned(alongRows(turned(wide), height, filter));
}

const UNIT = 2 ** 22;

/** The old pixels that each new one reads, and their weights, whose sum is 1. */
function taps(from: number, to: number, { support, weight }: Filter, bytes: boolean) {
  const rounded = (x: number) =>
    bytes ? (Math.sign(x) * Math.round(Math.abs(x) * UNIT)) / UNIT : x;
  const step = from / to;
  const stretch = Math.max(1, step);
  const reach = support * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * step;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(from, Math.floor(centre + reach + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) =>
      weight((first + k - centre + 0.5) / stretch),
    );
    const sum = raw.reduce((a, b) => a + b, 0);
    return { first, weights: raw.map((value) => rounded(value / sum)) };
  });
}

function alongRows({ width, height, data, bytes }: Plane, to: number, filter: Filter): Plane {
  const out = new Float64Array(height * to);
  taps(width, to, filter, bytes).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * data[y * width + first + k];
      out[y * to + x] = bytes ? Math.min(255, Math.max(0, Math.floor(sum + 0.5))) : sum;
    }
  });
  return { width: to, height, data: out, bytes };
}

function turned({ width, height, data, bytes }: Plane): Plane {
  const out = new Float64Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) out[x * height + y] = data[y * width + x];
  }
  return { width: height, height: width, data: out, bytes };
}

function nearest({ width, height, data, bytes }: Plane, rows: number, columns: number): Plane {
  const out = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    const from = Math.min(height - 1, Math.floor(((y + 0.5) * height) / rows)) * width;
    for (let x = 0; x < columns; x++) {
      out[y * columns + x] =
        data[from + Math.min(width - 1, Math.floor(((x + 0.5) * width) / columns))];
    }
  }
  return { width: columns, height: rows, data: out, bytes };
}
