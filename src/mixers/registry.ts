// Every token mixer, by name.
import { AnyformerError, nearest } from '../tensor/index.js';
import { attention } from './attention.js';
import { identity } from './identity.js';
import type { TokenMixer } from './mixer.js';
import { pooling } from './pooling.js';
import { random } from './random.js';

const all = [attention, pooling, identity, random] as unknown as TokenMixer<
  Readonly<Record<string, unknown>>
>[];

export const mixers: ReadonlyMap<string, TokenMixer<Readonly<Record<string, unknown>>>> = new Map(
  all.map((mixer) => [mixer.name, mixer]),
);

/** The mixer of a name and its options, checked. */
export function resolveMixer(
  name: string,
  given: unknown,
): {
  mixer: TokenMixer<Readonly<Record<string, unknown>>>;
  options: Readonly<Record<string, unknown>>;
} {
  const mixer = mixers.get(name);
  if (!mixer) {
    throw new AnyformerError('mixer/unknown', {
      what: `there is no token mixer '${name}'`,
      expected: [...mixers.keys()].join(', '),
      found: name,
      hint: `did you mean ${nearest(name, mixers.keys(), 1)[0]}?`,
    });
  }
  const parsed = mixer.options.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AnyformerError('mixer/options', {
      what: `the token mixer '${name}' has a wrong option: ${issue.path.join('.')}`,
      expected: issue.message,
      found: JSON.stringify(given),
    });
  }
  return { mixer, options: parsed.data };
}
