// Time series from CSV: rows are moments in their order, columns are numbers. Parsing is Papa Parse's;
// here are the header, which columns count, and what becomes of gaps.
import parser from 'papaparse';
import { fileBytes, readFile } from '#platform';
import { AnyformerError, type NDArray, ndarray, nearest } from '../tensor/index.js';

export type SeriesOptions = {
  /** Names of the columns to take, or numbers from 1; all that hold numbers unless told. */
  columns?: readonly (string | number)[];
  /** Whether the first row names the columns; found out unless told: it does if it holds no number. */
  header?: boolean;
  /** `,` unless told. */
  delimiter?: string;
  /**
   * What a missing value becomes: refused unless told, the last value before it, or the point on the
   * line between its neighbours (the nearest value at the ends).
   */
  gaps?: 'refuse' | 'previous' | 'linear';
  /** For messages. */
  file?: string;
};

export type Series = {
  /** Of the columns taken; `column 2` where the file names none. */
  readonly names: readonly string[];
  /** f64[rows, columns]. */
  readonly values: NDArray;
  /** How many values were filled in. */
  readonly filled: number;
};

const MOST_BYTES = 256_000_000;
const GAP = /^(|na|n\/a|nan|null|none|\?|-)$/i;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Reads a file; see `parseSeries`. Errors: also the platform's, `data/size` over 256 MB. */
export async function readSeries(path: string, options: SeriesOptions = {}): Promise<Series> {
  const size = await fileBytes(path);
  if (size > MOST_BYTES) {
    throw new AnyformerError('data/size', {
      what: `${path} is too big`,
      expected: `at most ${MOST_BYTES} bytes`,
      found: `${size} bytes`,
    });
  }
  return parseSeries(await readFile(path), { file: path, ...options });
}

/**
 * The series of CSV text in UTF-8. Columns whose first value is no number (dates, names) are left out
 * unless asked for. Errors: `data/csv` (quotes, rows of another length), `data/utf8`, `data/number` and
 * `data/gap` with line and column, `data/column`, `data/no-rows`.
 */
export function parseSeries(bytes: Uint8Array, options: SeriesOptions = {}): Series {
  const { file = 'the file', gaps = 'refuse', delimiter = ',' } = options;
  const all = records(bytes, delimiter, file);
  const first = all[0]?.cells ?? [];
  const header = options.header ?? !first.some((cell) => NUMBER.test(cell));
  const rows = header ? all.slice(1) : all;
  if (rows.length === 0) {
    throw new AnyformerError('data/no-rows', {
      what: `${file} holds no rows of numbers`,
      expected: 'at least one',
      found: all.length === 0 ? 'nothing' : 'only a header',
    });
  }
  const names = first.map((cell, i) => (header && cell !== '' ? cell : `column ${i + 1}`));
  const taken = chosen(names, rows, options.columns, file);
  const out = new Float64Array(rows.length * taken.length);
  let filled = 0;
  for (const [c, column] of taken.entries()) {
    const values = rows.map(({ cells, line }) =>
      cellValue(cells[column], `${file}, line ${line}, ${names[column]}`, gaps !== 'refuse'),
    );
    filled += fill(values, gaps, `${file}, ${names[column]}`);
    for (const [r, value] of values.entries()) out[r * taken.length + c] = value;
  }
  const values = ndarray('f64', [rows.length, taken.length], out);
  return { names: taken.map((i) => names[i]), values, filled };
}

type Row = { readonly cells: readonly string[]; readonly line: number };

function records(bytes: Uint8Array, delimiter: string, file: string): Row[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AnyformerError('data/utf8', {
      what: `${file} is not valid UTF-8`,
      expected: 'UTF-8 text',
      found: 'bytes that UTF-8 does not allow',
      cause,
    });
  }
  // Line ends of one kind: the parser settles on the first that it sees.
  const { data, errors } = parser.parse<string[]>(
    text.replace(/\r\n?/g, '\n').replace(/\n+$/, ''),
    { delimiter, newline: '\n' },
  );
  const [fault] = errors;
  if (fault) throw noTable(file, `row ${(fault.row ?? 0) + 1}: ${fault.message}`);
  const rows: Row[] = [];
  // In a single column a blank line is a missing value; beside others it says nothing.
  const single = !data.some(({ length }) => length > 1);
  let line = 1;
  for (const given of data) {
    const cells = given.map((cell) => cell.trim());
    const blank = cells.length === 1 && cells[0] === '';
    if (!blank || (single && rows.length > 0)) rows.push({ cells, line });
    const width = rows[0]?.cells.length ?? 0;
    if (!blank && cells.length !== width) {
      throw noTable(file, `${cells.length} cells in line ${line}, ${width} before`);
    }
    line += 1 + given.reduce((sum, cell) => sum + cell.split('\n').length - 1, 0);
  }
  return rows;
}

const noTable = (file: string, found: string): AnyformerError =>
  new AnyformerError('data/csv', {
    what: `${file} is not a table of separated values`,
    expected: 'rows of equally many cells, quotes closed',
    found,
  });

/** Which columns count. */
function chosen(
  names: readonly string[],
  rows: readonly Row[],
  wanted: readonly (string | number)[] | undefined,
  file: string,
): number[] {
  if (wanted) {
    return wanted.map((one) => {
      const at = typeof one === 'number' ? one - 1 : names.indexOf(one);
      if (Number.isInteger(at) && at >= 0 && at < names.length) return at;
      throw new AnyformerError('data/column', {
        what: `${file} has no column ${JSON.stringify(one)}`,
        expected: names.slice(0, 20).join(', '),
        found: String(one),
        hint:
          typeof one === 'string'
            ? `did you mean '${nearest(one.slice(0, 40), names, 1)[0]}'?`
            : 'columns are numbered from 1',
      });
    });
  }
  const numeric = names.flatMap((_, i) => {
    const value = rows.find(({ cells }) => !GAP.test(cells[i]))?.cells[i];
    return value !== undefined && NUMBER.test(value) ? [i] : [];
  });
  if (numeric.length > 0) return numeric;
  throw new AnyformerError('data/column', {
    what: `${file} has no column of numbers`,
    expected: 'at least one',
    found: names.slice(0, 20).join(', '),
  });
}

/** The number of a cell; NaN for a gap that may be filled. */
function cellValue(cell: string, where: string, fillable: boolean): number {
  if (NUMBER.test(cell) && Number.isFinite(Number(cell))) return Number(cell);
  if (GAP.test(cell)) {
    if (fillable) return Number.NaN;
    throw new AnyformerError('data/gap', {
      what: `${where}: a value is missing`,
      expected: 'a number',
      found: cell === '' ? 'nothing' : JSON.stringify(cell),
      hint: "fill gaps with gaps: 'previous' or 'linear'",
    });
  }
  throw new AnyformerError('data/number', {
    what: where,
    expected: 'a number such as 12.5 or -3e4',
    found: JSON.stringify(cell.slice(0, 60)),
  });
}

/** Fills NaN in place; how many there were. */
function fill(values: number[], gaps: SeriesOptions['gaps'], where: string): number {
  let filled = 0;
  let last = -1;
  for (let i = 0; i <= values.length; i++) {
    if (i < values.length && Number.isNaN(values[i])) continue;
    const [from, to] = [values[last], values[i]];
    for (let k = last + 1; k < i; k++) {
      if (last < 0 && (gaps === 'previous' || i === values.length)) throw nothingBefore(where);
      const share = (k - last) / (i - last);
      const [left, right] = [last < 0 ? to : from, i === values.length ? from : to];
      values[k] = gaps === 'previous' ? from : left + share * (right - left);
      filled++;
    }
    last = i;
  }
  return filled;
}

const nothingBefore = (where: string): AnyformerError =>
  new AnyformerError('data/gap', {
    what: `${where}: the series begins with a gap`,
    expected: 'a first value',
    found: 'nothing to fill it from',
    hint: 'leave these rows out',
  });
