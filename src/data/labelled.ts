// Labelled texts from a tab-separated file: `label<TAB>text` on each line, or a first row that names
// the columns `label` and `text` in any order among others. Streams; no quoting, as TSV has none.
import { AnyformerError } from '../tensor/error.js';
import { type Line, readLines } from './lines.js';
import type { Labelled } from './split.js';

export type LabelledOptions = {
  /** Rows that each class must have; 2 unless told, the least that can be split. */
  minPerClass?: number;
  /** Rows in all; 10 unless told. */
  minRows?: number;
};

type Columns = { label: number; text: number; count: number | undefined };

/**
 * Reads the file. Errors: those of `readLines`, `data/no-tab` (a line without a tab), `data/columns`
 * (fewer than the first row names), `data/empty` (no label or no text), each with file and line;
 * `data/no-rows`, `data/too-few-rows`, `data/one-class`.
 */
export async function readLabelled(
  path: string,
  { minPerClass = 2, minRows = 10 }: LabelledOptions = {},
): Promise<Labelled> {
  const texts: string[] = [];
  const names: string[] = [];
  let columns: Columns | undefined;
  for await (const line of readLines(path)) {
    if (line.text.trim() === '') continue;
    if (columns === undefined) {
      const header = headerOf(line.text);
      columns = header ?? { label: 0, text: 1, count: undefined };
      if (header !== undefined) continue;
    }
    const [label, text] = rowOf(line, columns, path);
    names.push(label);
    texts.push(text);
  }
  const data = numbered(texts, names);
  checkCounts(data, { minPerClass, minRows }, path);
  return data;
}

/** The columns of a first row that names them; undefined for an ordinary row. */
function headerOf(text: string): Columns | undefined {
  const names = text.split('\t').map((name) => name.trim().toLowerCase());
  const [label, column] = [names.indexOf('label'), names.indexOf('text')];
  return label === -1 || column === -1 ? undefined : { label, text: column, count: names.length };
}

function rowOf({ number, text }: Line, columns: Columns, path: string): [string, string] {
  const at = `${path}, line ${number}`;
  const tab = text.indexOf('\t');
  if (tab === -1) {
    throw new AnyformerError('data/no-tab', {
      what: at,
      expected: 'a label, a tab, a text',
      found: JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text),
      hint: 'for texts without labels use a plain text file with one text a line',
    });
  }
  // Without named columns everything after the first tab is text.
  const cells =
    columns.count === undefined ? [text.slice(0, tab), text.slice(tab + 1)] : text.split('\t');
  if (columns.count !== undefined && cells.length !== columns.count) {
    throw new AnyformerError('data/columns', {
      what: at,
      expected: `${columns.count} columns, as the first row has`,
      found: `${cells.length}`,
    });
  }
  const row: [string, string] = [cells[columns.label].trim(), cells[columns.text].trim()];
  if (row[0] !== '' && row[1] !== '') return row;
  throw new AnyformerError('data/empty', {
    what: at,
    expected: 'a label and a text',
    found: row[0] === '' ? 'no label' : 'no text',
  });
}

function numbered(texts: readonly string[], names: readonly string[]): Labelled {
  const classes = [...new Set(names)].sort();
  const number = new Map(classes.map((name, i) => [name, i]));
  return { texts, labels: names.map((name) => number.get(name) ?? 0), classes };
}

function checkCounts(data: Labelled, limits: Required<LabelledOptions>, path: string): void {
  const rows = data.texts.length;
  if (rows === 0) {
    throw new AnyformerError('data/no-rows', {
      what: `${path} holds no rows`,
      expected: 'a label, a tab and a text on each line',
      found: 'nothing',
    });
  }
  if (data.classes.length === 1) {
    throw new AnyformerError('data/one-class', {
      what: `every row of ${path} has the same label`,
      expected: 'two classes or more',
      found: `only ${JSON.stringify(data.classes[0])} in ${rows} rows`,
    });
  }
  if (rows < limits.minRows) {
    throw new AnyformerError('data/too-few-rows', {
      what: `${path} holds too few rows`,
      expected: `at least ${limits.minRows}`,
      found: `${rows}`,
    });
  }
  const counts = data.classes.map(() => 0);
  for (const label of data.labels) counts[label]++;
  const short = counts.findIndex((count) => count < limits.minPerClass);
  if (short === -1) return;
  throw new AnyformerError('data/too-few-rows', {
    what: `class ${JSON.stringify(data.classes[short])} of ${path} has too few rows`,
    expected: `at least ${limits.minPerClass}`,
    found: `${counts[short]} (${data.classes.length} classes in ${rows} rows)`,
    hint: data.classes.length > rows / 2 ? 'the label comes first, then the text' : undefined,
  });
}
