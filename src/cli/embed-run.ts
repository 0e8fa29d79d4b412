// Embedding texts from the command line, a file or standard input, a batch at a time, so that a file
// of any length passes through.
import { readLines } from '../data/lines.js';
import { openEncoder } from '../models/encoder.js';
import { isEncoder, wrongKind } from '../models/model.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { AnyformerError, type NDArray } from '../tensor/index.js';
import type { Cli } from './cli.js';
import type { EmbedOptions } from './commands/embed.js';
import { openModel } from './open-model.js';
import { linesOf } from './stream-lines.js';
import { openTerminal } from './terminal.js';

/** Texts encoded together: enough to sort by length and fill batches. */
const GROUP = 2048;

export async function runEmbed(
  cli: Cli,
  name: string,
  texts: readonly string[],
  options: EmbedOptions,
): Promise<void> {
  const { signal } = cli;
  const source = sourceOf(cli, texts, options);
  const terminal = openTerminal(cli, options);
  await using opened = await openModel(name, { signal: cli.signal, terminal });
  const { model } = opened;
  if (!isEncoder(model)) throw wrongKind(model, 'text encoder');
  await using device = await cpuDevice({ threads: options.threads, signal });
  await using encoder = await openEncoder(model, device, { signal });
  const { width } = encoder;
  const json: number[][] = [];
  let done = 0;
  for await (const group of grouped(source)) {
    const progress = (ready: number) => {
      // Vectors that run over the same terminal are progress enough.
      if (cli.stdout.isTTY && !options.json) return;
      const what = `${(done + ready).toLocaleString('en-US')} texts`;
      terminal.progress({ stage: 'embed', done: ready, total: group.length, what });
    };
    const vectors = await encoder.encode(group, { signal, progress });
    done += group.length;
    const rows = rowsOf(vectors);
    if (options.json) for (const row of rows) json.push(row);
    else terminal.print(rows.map((row) => `${row.join('\t')}\n`).join(''));
  }
  terminal.clear();
  if (done === 0) {
    throw new AnyformerError('data/no-rows', {
      what: `${options.file && options.file !== '-' ? options.file : 'standard input'} holds no lines`,
      expected: 'one text a line',
      found: 'nothing',
    });
  }
  if (options.json) {
    terminal.print(`${JSON.stringify({ model: name, width, count: done, vectors: json })}\n`);
  }
}

type Source = Iterable<string> | AsyncIterable<string>;

function sourceOf(cli: Cli, texts: readonly string[], { file }: EmbedOptions): Source {
  if (texts.length > 0 && file !== undefined) {
    throw new AnyformerError('usage/texts', {
      what: 'texts are given twice: on the command line and by --file',
      expected: 'one of them',
      found: 'both',
    });
  }
  if (texts.length > 0) return texts;
  if (file !== undefined && file !== '-') return linesOfFile(file);
  if (file === undefined && cli.stdin.isTTY) {
    throw new AnyformerError('usage/texts', {
      what: 'there is nothing to embed',
      expected: 'texts after the model, --file FILE, or texts on standard input',
      found: 'a terminal as standard input',
      hint: 'anyformer embed use-lite "a text"; with --file - you can type texts, Ctrl-D ends them',
    });
  }
  return linesOf(cli.stdin, 'standard input');
}

async function* linesOfFile(path: string): AsyncGenerator<string> {
  for await (const { text } of readLines(path)) yield text;
}

async function* grouped(source: Source): AsyncGenerator<string[]> {
  let group: string[] = [];
  for await (const text of source) {
    group.push(text);
    if (group.length < GROUP) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Float32 with the nine digits that give the same number back. */
function rowsOf({ shape: [count, width], data }: NDArray): number[][] {
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: width }, (_, k) => Number(Number(data[i * width + k]).toPrecision(9))),
  );
}
