// Continuing a prompt on the terminal.
import { generate } from '../decode/index.js';
import { isDecoder, isEncoderDecoder, type Model, wrongKind } from '../models/model.js';
import { significant } from '../optimize/format.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { AnyformerError } from '../tensor/error.js';
import type { Cli } from './cli.js';
import type { GenerateOptions } from './commands/generate.js';
import { openModel } from './open-model.js';
import { openTerminal } from './terminal.js';

const FINISHED = {
  eos: 'the text ended',
  length: '--max-new-tokens reached',
  context: 'the context is full',
} as const;

export async function runGenerate(
  cli: Cli,
  name: string,
  prompt: string,
  options: GenerateOptions,
): Promise<void> {
  const { signal } = cli;
  const { maxNewTokens, strategy, temperature, topK, topP, seed } = options;
  if (strategy === 'greedy' && [temperature, topK, topP].some((value) => value !== undefined)) {
    throw new AnyformerError('usage/strategy', {
      what: '--strategy greedy draws nothing, so --temperature, --top-k and --top-p do not go with it',
      expected: '--strategy sample, or none of these three',
      found: 'both',
    });
  }
  const terminal = openTerminal(cli, options);
  await using opened = await openModel(name, { signal: cli.signal, terminal });
  const { model } = opened;
  if (!continues(model) && !writesFrom(model)) throw wrongKind(model, 'language model');
  await using device = await cpuDevice({ threads: options.threads, signal });
  const steps = generate(model, prompt, {
    device,
    signal,
    maxNewTokens,
    temperature,
    topK,
    topP,
    seed,
    doSample: strategy === undefined ? undefined : strategy === 'sample',
  });
  const tokens: { id: number; text: string; logprob: number }[] = [];
  let finish: keyof typeof FINISHED | undefined;
  let start = 0;
  for await (const { id, text, logprob, finish: end } of steps) {
    // The clock begins with the first token: what comes before is reading the prompt.
    if (tokens.length === 0) {
      start = performance.now();
      if (!options.json && continues(model)) terminal.print(prompt);
    }
    tokens.push({ id, text, logprob });
    finish = end;
    if (!options.json) terminal.print(text);
  }
  const seconds = (performance.now() - start) / 1000;
  const tokensPerSecond = tokens.length > 1 ? (tokens.length - 1) / seconds : null;
  if (options.json) {
    const text = tokens.map((token) => token.text).join('');
    const result = { model: name, prompt, text, finish, tokensPerSecond, tokens };
    terminal.print(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  terminal.print('\n');
  const speed = tokensPerSecond === null ? '' : `, ${significant(tokensPerSecond)} tokens/s`;
  terminal.note(`${tokens.length} tokens${speed}; ${finish ? FINISHED[finish] : ''}`);
}

/** Whether the result goes on where the prompt ends. */
const continues = isDecoder;

/** Whether the prompt is a source that a text is written for: translation, summary. */
const writesFrom = (model: Model): boolean =>
  isEncoderDecoder(model) && model.family.source === 'text';
