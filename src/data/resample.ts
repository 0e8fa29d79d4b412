// Sound at another rate, and of one channel. Resampling is by a windowed sinc (Kaiser window), one set
// of weights for each of the places that output samples have between input samples; where the rate
// falls, what the new rate cannot hold is filtered out.
import type { Sound } from './wav.js';

/** Zeros of the sinc on each side, at the lower of the rates. */
const ZEROS = 32;
/** Share of the lower rate's band that passes; the rest is the filter's slope. */
const BAND = 0.94;
/** Shape of the window: about 80 dB below what passes. */
const KAISER_BETA = 8;

/** The mean of all channels, at `rate` samples a second. */
export const monoAt = (sound: Sound, rate: number): Float32Array<ArrayBuffer> =>
  resample(mixDown(sound), sound.rate, rate);

/** The mean of all channels. */
export function mixDown({ channels }: Sound): Float32Array<ArrayBuffer> {
  const [first, ...rest] = channels;
  if (rest.length === 0) return first;
  const mixed = Float32Array.from(first);
  for (const channel of rest) for (let i = 0; i < mixed.length; i++) mixed[i] += channel[i];
  return mixed.map((sum) => sum / channels.length);
}

/** `samples` at rate `from` as samples at rate `to`: ceil(count * to / from) of them. */
export function resample(
  samples: Float32Array<ArrayBuffer>,
  from: number,
  to: number,
): Float32Array<ArrayBuffer> {
  if (from === to) return samples;
  const common = gcd(from, to);
  const [up, down] = [to / common, from / common];
  const phases = weightsOf(up, down);
  const out = new Float32Array(Math.ceil((samples.length * up) / down));
  for (let i = 0; i < out.length; i++) {
    const place = i * down;
    const { weights, start } = phases[place % up];
    const first = Math.floor(place / up) + start;
    let sum = 0;
    const low = Math.max(0, -first);
    const high = Math.min(weights.length, samples.length - first);
    for (let k = low; k < high; k++) sum += weights[k] * samples[first + k];
    out[i] = sum;
  }
  return out;
}

type Phase = { weights: Float64Array; start: number };

/** For each fraction p / up of an input sample: weights of the samples from `start` on; their sum is 1. */
function weightsOf(up: number, down: number): Phase[] {
  const cutoff = BAND * Math.min(1, up / down);
  const reach = ZEROS / cutoff;
  return Array.from({ length: up }, (_, p) => {
    const fraction = p / up;
    const start = Math.ceil(fraction - reach);
    const count = Math.floor(fraction + reach) - start + 1;
    const weights = Float64Array.from({ length: count }, (__, k) => {
      const distance = start + k - fraction;
      return sinc(cutoff * distance) * kaiser(distance / reach);
    });
    const total = weights.reduce((a, b) => a + b, 0);
    return { weights: weights.map((weight) => weight / total), start };
  });
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const kaiser = (x: number): number =>
  bessel(KAISER_BETA * Math.sqrt(Math.max(0, 1 - x * x))) / bessel(KAISER_BETA);

/** The modified Bessel function of order 0, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
