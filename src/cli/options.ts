// Options that commands share, and the reading of option values. Whatever these refuse is told with
// the option's name by commander, and ends with exit code 2.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { METRICS } from '../optimize/metric.js';
import { nearest } from '../tensor/error.js';

/** A whole number from `least` to `most`. */
export const wholeNumber =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text) && value >= least && value <= most) return value;
    const range =
      most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };

/** A number from `least` to `most`. */
export const realNumber =
  (least: number, most = Number.POSITIVE_INFINITY) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value <= most) return value;
    const range =
      most === Number.POSITIVE_INFINITY ? `of ${least} or more` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Expected a number ${range}.`);
  };

/** Gathers the values of an option that may be given several times. */
export const repeated = (value: string, before: readonly string[] = []): string[] => [
  ...before,
  value,
];

/** The name of a metric. */
export function metricName(text: string): string {
  const names = METRICS.map(({ name }) => name);
  if (names.includes(text)) return text;
  throw new InvalidArgumentError(
    `Expected one of ${names.join(', ')}; did you mean '${nearest(text.slice(0, 40), names, 1)[0]}'?`,
  );
}

/** `cosine=0.98`, given several times. */
export function floor(
  text: string,
  before: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const [, metric, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (metric === undefined)
    throw new InvalidArgumentError('Expected METRIC=VALUE, as in cosine=0.98.');
  return { ...before, [metricName(metric)]: realNumber(0)(value) };
}

const MAX_SEED = 2 ** 31 - 1;

export const shared = {
  threads: () =>
    new Option('--threads <n>', 'threads of the engine (default: what the machine has)').argParser(
      wholeNumber(1, 1024),
    ),
  seed: () =>
    new Option('--seed <n>', 'where random choices begin; equal seeds give equal choices')
      .argParser(wholeNumber(0, MAX_SEED))
      .default(0),
  overwrite: () =>
    new Option('--overwrite', 'replace the output folder if it was written by this command'),
  json: () => new Option('--json', 'print one JSON document instead of text'),
  quiet: () => new Option('--quiet', 'no notes and no progress on standard error'),
};

/** Help that ends with examples, one a line under what it does. */
export function examples(command: Command, lines: readonly (readonly [string, string])[]): Command {
  const shown = lines.map(([does, text]) => `  ${does}\n    $ ${wrapped(`anyformer ${text}`)}`);
  return command.addHelpText('after', `\nExamples:\n${shown.join('\n')}`);
}

const EXAMPLE_WIDTH = 72;

/** A long command in several lines, as a shell takes it, broken before options. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const part of text.split(/ (?=--)/)) {
    const longer = `${lines.at(-1)} ${part}`;
    if (lines.length > 0 && longer.length <= EXAMPLE_WIDTH) lines.splice(-1, 1, longer);
    else lines.push(part);
  }
  return lines.join(' \\\n        ');
}
