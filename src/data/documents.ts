// Documents of text files, streamed: a line each, a file each, or what lies between separators.
import { AnyformerError } from '../tensor/error.js';
import { readLines } from './lines.js';

/** Where a document ends: at each line, at the end of each file, or at lines that equal a text. */
export type DocumentRule = 'line' | 'file' | { readonly separator: string };

/**
 * The documents that hold text, in the order of the files, with LF between lines. A separator of ''
 * cuts at blank lines. Errors: those of `readLines`; `data/no-rows` naming a file without text.
 */
export async function* readDocuments(
  paths: readonly string[],
  rule: DocumentRule,
): AsyncGenerator<string> {
  for (const path of paths) {
    let given = false;
    for await (const document of documentsOf(path, rule)) {
      given = true;
      yield document;
    }
    if (given) continue;
    throw new AnyformerError('data/no-rows', {
      what: `${path} holds no text`,
      expected: 'text',
      found: 'only blank lines or nothing',
    });
  }
}

async function* documentsOf(path: string, rule: DocumentRule): AsyncGenerator<string> {
  let lines: string[] = [];
  const finish = (): string => {
    const document = lines.join('\n');
    lines = [];
    return document;
  };
  for await (const { text } of readLines(path)) {
    const ends = rule === 'line' || (rule !== 'file' && isSeparator(text, rule.separator));
    if (rule === 'line' || !ends) lines.push(text);
    if (!ends) continue;
    const document = finish();
    if (document.trim() !== '') yield document;
  }
  const document = finish();
  if (document.trim() !== '') yield document;
}

const isSeparator = (line: string, separator: string): boolean =>
  separator === '' ? line.trim() === '' : line === separator;
