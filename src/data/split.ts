// Seeded, stratified splits and samples: every class keeps its share, rows keep their order, and the
// result depends on the data and the seed alone. Equal texts are not kept together.
import { AnyformerError } from '../tensor/error.js';
import { permutation, sampleIndices } from '../tensor/random.js';

/** Texts with a class each: `classes[labels[i]]` is the label of `texts[i]`. */
export type Labelled = {
  readonly texts: readonly string[];
  readonly labels: readonly number[];
  /** Distinct labels in code-unit order, so that the numbering does not depend on row order. */
  readonly classes: readonly string[];
};

/**
 * Splits off `test` (a share in (0, 1)) of every class, at least one row of it and never all.
 * Errors: `data/split` for a share outside (0, 1), `data/too-few-rows` for a class of one row.
 */
export function splitLabelled(
  data: Labelled,
  options: { test: number; seed: number },
): { train: Labelled; test: Labelled } {
  if (!(options.test > 0 && options.test < 1)) {
    throw new AnyformerError('data/split', {
      what: 'the share of test rows',
      expected: 'a number between 0 and 1, both excluded',
      found: String(options.test),
    });
  }
  const inTest = new Uint8Array(data.texts.length);
  rowsByClass(data).forEach((rows, label) => {
    if (rows.length < 2) {
      throw new AnyformerError('data/too-few-rows', {
        what: `class '${data.classes[label]}' cannot be split`,
        expected: 'at least 2 rows',
        found: `${rows.length}`,
      });
    }
    const count = Math.min(rows.length - 1, Math.max(1, Math.round(options.test * rows.length)));
    for (const i of permutation(rows.length, options.seed + label).slice(0, count)) {
      inTest[rows[i]] = 1;
    }
  });
  const rows = [...inTest.keys()];
  return {
    train: pickRows(
      data,
      rows.filter((i) => inTest[i] === 0),
    ),
    test: pickRows(
      data,
      rows.filter((i) => inTest[i] === 1),
    ),
  };
}

/**
 * About `count` rows, each class in its share (largest remainders, at least one row a class); all
 * rows where there are no more than `count`.
 */
export function sampleLabelled(data: Labelled, count: number, seed: number): Labelled {
  if (data.texts.length <= count) return data;
  const groups = rowsByClass(data);
  const shares = groups.map((rows) => (rows.length * count) / data.texts.length);
  const counts = shares.map((share) => Math.max(1, Math.floor(share)));
  const byRemainder = [...shares.keys()].sort((a, b) => (shares[b] % 1) - (shares[a] % 1) || a - b);
  const missing = count - counts.reduce((a, b) => a + b, 0);
  for (const label of byRemainder.slice(0, Math.max(0, missing))) counts[label]++;
  const rows = groups.flatMap((group, label) =>
    sampleIndices(group.length, counts[label], seed + label).map((i) => group[i]),
  );
  return pickRows(
    data,
    rows.sort((a, b) => a - b),
  );
}

/** `count` of the texts in their order; all of them where there are no more. */
export function sampleTexts(texts: readonly string[], count: number, seed: number): string[] {
  return sampleIndices(texts.length, count, seed).map((i) => texts[i]);
}

function rowsByClass(data: Labelled): number[][] {
  const groups: number[][] = data.classes.map(() => []);
  for (const [row, label] of data.labels.entries()) groups[label].push(row);
  return groups;
}

/** Some rows of the data, all of its classes. */
function pickRows(data: Labelled, rows: readonly number[]): Labelled {
  return {
    texts: rows.map((i) => data.texts[i]),
    labels: rows.map((i) => data.labels[i]),
    classes: data.classes,
  };
}
