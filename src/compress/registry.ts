// Every compression pass by name, and chains of them as text: `low-rank:ratio=0.5+int8:block=64`.
import type { z } from 'zod';
import type { Model } from '../models/model.js';
import { AnyformerError, nearest } from '../tensor/index.js';
import { fourBit } from './four-bit.js';
import { int8 } from './int8.js';
import { lowRank } from './low-rank.js';
import type { CompressPass, PassContext } from './pass.js';

const all = [lowRank, int8, fourBit] as unknown as CompressPass[];

export const passes: ReadonlyMap<string, CompressPass> = new Map(
  all.map((pass) => [pass.name, pass]),
);

/** One pass with the options given to it. */
export type Step = {
  readonly pass: CompressPass;
  readonly options: Readonly<Record<string, unknown>>;
};

/** Checks a step's options; the error names the option, what it takes, and what was given. */
export function step(name: string, given: Readonly<Record<string, unknown>> = {}): Step {
  const pass = passes.get(name);
  if (!pass) {
    throw new AnyformerError('compress/unknown-pass', {
      what: `there is no compression pass '${name}'`,
      expected: [...passes.keys()].join(', '),
      found: name,
      hint: `did you mean ${nearest(name, passes.keys(), 1)[0]}?`,
    });
  }
  const parsed = pass.options.safeParse(given);
  if (!parsed.success) throw optionError(pass, given, parsed.error);
  return { pass, options: given };
}

function optionError(
  pass: CompressPass,
  given: Readonly<Record<string, unknown>>,
  error: z.ZodError,
): AnyformerError {
  const [issue] = error.issues;
  const known = optionNames(pass);
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const name = unknown ?? String(issue.path[0] ?? '');
  return new AnyformerError('compress/option', {
    what: unknown
      ? `${pass.name} has no option '${name}'`
      : `${pass.name}: the option '${name}' is wrong`,
    expected: unknown ? known.join(', ') : issue.message,
    found: unknown ?? JSON.stringify(given[name]),
    hint: unknown ? `did you mean ${nearest(name, known, 1)[0]}?` : undefined,
  });
}

/** The names of a pass's options. */
export function optionNames(pass: CompressPass): string[] {
  const { shape } = pass.options as unknown as { shape: Record<string, unknown> };
  return Object.keys(shape);
}

/** Reads `name:option=value,option=value+name`; values are numbers, true, false or text; lists use |. */
export function parseChain(text: string): Step[] {
  const chain = text.split('+').map((part) => {
    const [name, rest, ...more] = part.trim().split(':');
    if (more.length > 0 || name === '') throw chainError(text);
    const given = Object.fromEntries(
      (rest ?? '')
        .split(',')
        .filter(Boolean)
        .map((pair) => {
          const [key, value, ...extra] = pair.split('=');
          if (value === undefined || extra.length > 0) throw chainError(text);
          return [key.trim(), optionValue(key.trim(), value.trim())];
        }),
    );
    return step(name, given);
  });
  checkOrder(chain);
  return chain;
}

const chainError = (text: string): AnyformerError =>
  new AnyformerError('compress/chain', {
    what: `'${text}' is not a chain of passes`,
    expected: 'pass:option=value,option=value+pass',
    found: text,
  });

function optionValue(key: string, value: string): unknown {
  if (key === 'exclude') return value.split('|');
  if (value === 'true' || value === 'false') return value === 'true';
  return value !== '' && Number.isFinite(Number(value)) ? Number(value) : value;
}

/** Passes come in their order (structure before numbers), and weights are quantised once. */
export function checkOrder(chain: readonly Step[]): void {
  chain.forEach(({ pass }, i) => {
    const later = chain[i + 1]?.pass;
    if (!later || pass.order < later.order) return;
    throw new AnyformerError('compress/order', {
      what: `${later.name} cannot follow ${pass.name}`,
      expected:
        pass.order === later.order
          ? 'weights quantised once'
          : 'passes that change structure before those that quantise',
      found: chain.map(({ pass: { name } }) => name).join('+'),
      hint: pass.order === later.order ? 'take one of them' : `put ${later.name} first`,
    });
  });
}

/** Whether a chain has a pass that must see calibration data. */
export const needsCalibration = (chain: readonly Step[]): boolean =>
  chain.some(({ pass }) => pass.needs === 'calibration');

/** Applies passes one after the other; the result has the chain's text as its name. */
export async function applyChain(
  model: Model,
  chain: readonly Step[],
  context: PassContext,
): Promise<Model> {
  checkOrder(chain);
  let current = model;
  for (const [i, { pass, options }] of chain.entries()) {
    const progress = (share: number, what: string) =>
      context.progress?.((i + share) / chain.length, what);
    current = await pass.apply(current, pass.options.parse(options), { ...context, progress });
  }
  return { ...current, name: showSteps(chain) };
}

export const showSteps = (chain: readonly Step[]): string =>
  chain
    .map(({ pass, options }) => {
      const given = Object.entries(options).map(
        ([key, value]) => `${key}=${[value].flat().join('|')}`,
      );
      return given.length === 0 ? pass.name : `${pass.name}:${given.join(',')}`;
    })
    .join('+');
