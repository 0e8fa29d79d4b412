// A conversation on the terminal, or with a program at the other end of a pipe.
import { createInterface, type Interface } from 'node:readline';
import { exists, writeAtomic } from '#platform';
import { openDecoder } from '../decode/index.js';
import { hasChatTemplate } from '../models/chat-template.js';
import { generationOf } from '../models/generation-config.js';
import { isDecoder, type Model, wrongKind } from '../models/model.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { AnyformerError, nearest } from '../tensor/error.js';
import { type ChatSession, openChat } from './chat-session.js';
import type { Cli } from './cli.js';
import type { ChatOptions } from './commands/chat.js';
import { openModel } from './open-model.js';
import { linesOf } from './stream-lines.js';
import { openTerminal, type Terminal } from './terminal.js';

export async function runChat(cli: Cli, name: string, options: ChatOptions): Promise<void> {
  const { signal } = cli;
  const terminal = openTerminal(cli, options);
  await using opened = await openModel(name, { signal, terminal });
  const { model } = opened;
  if (!isDecoder(model)) throw wrongKind(model, 'language model');
  await using device = await cpuDevice({ threads: options.threads, signal });
  await using decoder = await openDecoder(model, device, { signal });
  if (!hasChatTemplate(model)) {
    terminal.note(
      `${name} has no chat template: messages are written as "User:" and "Assistant:" lines`,
    );
  }
  const session = openChat(decoder, options.system);
  const sampling = samplingOf(model, options);
  const saved = new Set<string>();
  const interactive = cli.stdin.isTTY === true;
  if (interactive) terminal.note('/help lists commands; Ctrl-C stops an answer, Ctrl-D ends');
  let turn = 0;
  for await (const line of messagesOf(cli, interactive)) {
    if (line.trim() === '') continue;
    try {
      const message = line.startsWith('//') ? line.slice(1) : line;
      if (message !== line || !line.startsWith('/')) {
        const seed = options.seed + turn++;
        await answer(cli, terminal, session, message, { ...sampling, seed }, options);
      } else if ((await command(line, session, terminal, { name, saved })) === 'exit') break;
    } catch (error) {
      // At a terminal one may go on; what a program wrote ends here.
      if (!interactive || !(error instanceof AnyformerError) || signal.aborted) throw error;
      const { showError } = await import('./failure.js');
      terminal.note((await showError(error)).trimEnd());
    }
  }
}

async function answer(
  cli: Cli,
  terminal: Terminal,
  session: ChatSession,
  message: string,
  sampling: object,
  { json, maxNewTokens }: ChatOptions,
): Promise<void> {
  const stop = new AbortController();
  cli.interrupted = () => {
    if (stop.signal.aborted) return false;
    stop.abort(new Error('stopped by the user'));
    return true;
  };
  try {
    const done = await session.answer(message, {
      ...sampling,
      maxNewTokens,
      signal: AbortSignal.any([cli.signal, stop.signal]),
      print: (text) => {
        if (!json) terminal.print(text);
      },
      left: (count) =>
        terminal.note(`the context is full: the ${count} oldest messages are not read any more`),
    });
    cli.signal.throwIfAborted();
    const { text, ...rest } = done;
    terminal.print(
      json ? `${JSON.stringify({ role: 'assistant', content: text, ...rest })}\n` : '\n',
    );
    if (done.finish === 'length') terminal.note('(--max-new-tokens reached)');
    if (done.finish === 'context') terminal.note('(the context is full)');
  } finally {
    cli.interrupted = undefined;
  }
}

const COMMANDS = ['/reset', '/system', '/save', '/exit', '/help'];

async function command(
  line: string,
  session: ChatSession,
  terminal: Terminal,
  { name, saved }: { name: string; saved: Set<string> },
): Promise<'exit' | undefined> {
  const [, word, rest] = /^(\/\S*)\s*(.*)$/s.exec(line.trim()) ?? [];
  switch (word) {
    case '/reset':
      session.reset();
      terminal.note('a new conversation');
      return undefined;
    case '/system':
      session.reset(rest);
      terminal.note(rest === '' ? 'no system message; a new conversation' : 'a new conversation');
      return undefined;
    case '/save':
      await save(rest, session, name, saved);
      terminal.note(`saved to ${rest}`);
      return undefined;
    case '/exit':
    case '/quit':
      return 'exit';
    case '/help':
      terminal.note(
        '/reset, /system TEXT, /save FILE, /exit; //TEXT is a message that begins with /',
      );
      return undefined;
    default:
      throw new AnyformerError('usage/command', {
        what: `there is no command ${word}`,
        expected: `${COMMANDS.join(', ')}, or // before a message that begins with /`,
        found: word,
        hint: `nearest: ${nearest(word.slice(0, 20), COMMANDS, 1)[0]}`,
      });
  }
}

async function save(path: string, { messages }: ChatSession, model: string, saved: Set<string>) {
  if (path === '' || (!saved.has(path) && (await exists(path)))) {
    throw new AnyformerError(path === '' ? 'usage/file' : 'file/exists', {
      what: path === '' ? '/save needs a file' : `${path} exists`,
      expected: 'the name of a new file',
      found: path === '' ? 'nothing' : path,
    });
  }
  const text = `${JSON.stringify({ model, messages }, null, 2)}\n`;
  await writeAtomic(path, new TextEncoder().encode(text));
  saved.add(path);
}

const SAMPLING = ['do_sample', 'temperature', 'top_k', 'top_p'] as const;

/** The author's settings that sampling knows here, and before them those of the command line. */
function samplingOf(model: Model, options: ChatOptions): Record<string, unknown> {
  const said = generationOf(model);
  const own: Record<string, unknown> = {
    temperature: options.temperature,
    top_k: options.topK,
    top_p: options.topP,
  };
  const given = Object.values(own).some((value) => value !== undefined);
  const sampling = SAMPLING.flatMap((key) => {
    const value = own[key] ?? (key === 'do_sample' && given ? true : said[key]);
    return value === undefined || value === null ? [] : [[key, value] as const];
  });
  const all = Object.fromEntries(sampling);
  // An author who says nothing means the best token.
  return all.do_sample === true ? all : {};
}

/** What the user writes, message by message. */
async function* messagesOf(cli: Cli, interactive: boolean): AsyncGenerator<string> {
  const { stdin, stderr, signal } = cli;
  if (!interactive) {
    signal.addEventListener('abort', () => stdin.destroy(), { once: true });
    yield* linesOf(stdin, 'standard input');
    return;
  }
  const input = createInterface({ input: stdin, output: stderr, terminal: true });
  // In raw mode the terminal sends no signal: the key comes here.
  input.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    for (;;) {
      const line = await ask(input, signal);
      if (line === undefined) return;
      yield line;
    }
  } finally {
    input.close();
  }
}

async function ask(input: Interface, signal: AbortSignal): Promise<string | undefined> {
  signal.throwIfAborted();
  return await new Promise((done, fail) => {
    const abort = () => fail(signal.reason);
    const end = () => done(undefined);
    input.once('close', end);
    signal.addEventListener('abort', abort, { once: true });
    input.question('> ', (line) => {
      input.off('close', end);
      signal.removeEventListener('abort', abort);
      done(line);
    });
  });
}
