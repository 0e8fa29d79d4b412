// Every error that bad input can cause. One class, told apart by `code`: callers match on the code,
// people read the four parts. Nothing else in the library throws for bad input.

export type ErrorParts = {
  /** What is wrong, naming the thing: a tensor, a file, an option. */
  what: string;
  /** What would have been right. */
  expected?: string;
  /** What was there instead. */
  found?: string;
  /** What to do about it. */
  hint?: string;
  cause?: unknown;
};

/**
 * A failure that its reader can act on. `code` is stable (`tensor/shape`, `safetensors/overlap`,
 * `budget/unknown-metric`, ...); `expected`, `found` and `hint` are sentences without a full stop.
 */
export class AnyformerError extends Error {
  override readonly name = 'AnyformerError';
  readonly code: string;
  readonly what: string;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly hint: string | undefined;

  constructor(code: string, parts: ErrorParts) {
    const lines = [parts.what];
    if (parts.expected !== undefined) lines.push(`  expected: ${parts.expected}`);
    if (parts.found !== undefined) lines.push(`  found:    ${parts.found}`);
    if (parts.hint !== undefined) lines.push(`  to do:    ${parts.hint}`);
    super(lines.join('\n'), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.what = parts.what;
    this.expected = parts.expected;
    this.found = parts.found;
    this.hint = parts.hint;
  }
}

/** The entries of `known` nearest to `name` by edit distance, for "did you mean". */
export function nearest(name: string, known: Iterable<string>, count = 3): string[] {
  return [...known]
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitute, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
