// Sliding windows over masks with holes.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromNumbers, graph, input, interpret, toNumbers } from '../tensor/index.js';
import { lastKeys } from './mask.js';

it('a window keeps the last keys of those that a query sees', () => {
  const row = fc.array(fc.boolean(), { minLength: 9, maxLength: 9 });
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 10 }),
      (rows, window) => {
        const mask = fromNumbers('bool', [1, 1, rows.length, 9], rows.flat().map(Number));
        const g = graph({ y: lastKeys(input('m', 'bool', ['b', 1, 'q', 'k']), window) });
        const found = interpret(g, { m: mask }).outputs.get('y');
        const wanted = rows.flatMap((seen) => {
          const kept = new Set(seen.flatMap((s, k) => (s ? [k] : [])).slice(-window));
          return seen.map((_, k) => Number(kept.has(k)));
        });
        expect(found && [...toNumbers(found)]).toEqual(wanted);
      },
    ),
  );
});
