// Thresholds as text: `ratio <= 0.75`, several joined by `and`. Each names a measured figure.
import { AnyformerError } from '../tensor/index.js';

export type Bound = { name: string; relation: '<' | '<=' | '>' | '>=' | '='; limit: number };

const RELATIONS: Readonly<Record<Bound['relation'], (a: number, b: number) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '=': (a, b) => a === b,
};

/** Reads a threshold. Errors: `systems/threshold`. */
export function parseBounds(text: string): Bound[] {
  return text.split(/\s+and\s+/).map((part) => {
    const [, name, relation, limit] = /^(\w+)\s*(<=|>=|<|>|=)\s*(\S+)$/.exec(part.trim()) ?? [];
    const value = Number(limit);
    if (name === undefined || limit === '' || !Number.isFinite(value)) {
      throw new AnyformerError('systems/threshold', {
        what: `'${part}' is not a threshold`,
        expected: 'NAME RELATION NUMBER, as in ratio <= 0.75, joined by and',
        found: text,
      });
    }
    return { name, relation: relation as Bound['relation'], limit: value };
  });
}

/** Whether every bound holds. A figure that is missing or not a number holds nothing. */
export function within(
  bounds: readonly Bound[],
  values: Readonly<Record<string, number>>,
): boolean {
  return bounds.every(({ name, relation, limit }) => {
    const value = Object.hasOwn(values, name) ? values[name] : Number.NaN;
    return RELATIONS[relation](value, limit);
  });
}
