// Conversations: templates and what they refuse, the turns that fit, and the command at both ends of a
// pipe.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openChat } from '../src/cli/chat-session.js';
import type { Decoder } from '../src/decode/index.js';
import {
  type ChatMessage,
  chatPrompt,
  chatTemplateOf,
  checkMessages,
  renderChat,
} from '../src/models/chat-template.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import type { Model } from '../src/models/model.js';
import { createTokenizer } from '../src/models/tokenizer.js';
import { type Ended, start } from './support/cli.js';
import { smallDecoder } from './support/small-models.js';

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });
const user = (content: string): ChatMessage => ({ role: 'user', content });
const said = (content: string): ChatMessage => ({ role: 'assistant', content });

// ChatML as many models have it, with a complaint about turns that do not alternate.
const CHATML = `{%- for message in messages %}
{%- if loop.index0 > 0 and messages[loop.index0 - 1]['role'] == message['role'] %}
{{- raise_exception('Roles must alternate') }}
{%- endif %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

function withConfig(model: Model, config: object): Model {
  const files = model.tokenizer?.files;
  if (!files) throw new Error('no tokenizer');
  return { ...model, tokenizer: createTokenizer({ tokenizer: files.tokenizer, config }) };
}

let place = '';
let folder = '';
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'anyformer-chat-'));
  folder = join(place, 'model');
  await saveModel(
    withConfig(smallDecoder(), { chat_template: 'a{{ messages[-1].content }}' }),
    folder,
  );
});
afterAll(() => rm(place, { recursive: true, force: true }));

describe('templates', () => {
  test('render a conversation up to where the assistant goes on', () => {
    const text = renderChat(CHATML, [
      { role: 'system', content: 'Be brief.' },
      user('Hi'),
      said('Hello'),
      user(' <b>&</b> {{ 7 * 7 }} '),
    ]);
    expect(text).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n' +
        '<|im_start|>assistant\nHello<|im_end|>\n' +
        '<|im_start|>user\n<b>&</b> {{ 7 * 7 }}<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  test('know the special tokens, however they are written', () => {
    const template = '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}';
    const config = { bos_token: '<s>', eos_token: { content: '</s>', special: true } };
    expect(renderChat(template, [user('x')], config)).toBe('<s>x</s>');
  });

  test('complain in their own words', () => {
    const run = () => renderChat(CHATML, [user('a'), user('b')]);
    expect(run).toThrow(failsWith('chat/template'));
    expect(run).toThrow(/Roles must alternate/);
    for (const broken of ['{% for %}', '{{ ', '{{ nothing.here.at.all() }}']) {
      expect(() => renderChat(broken, [user('a')])).toThrow(failsWith('chat/template'));
    }
  });

  test('reach nothing but text', () => {
    for (const attack of [
      "{{ ''.constructor.constructor('return process')() }}",
      '{{ messages.constructor }}',
      "{{ messages['__proto__'] }}",
      '{{ process.env }}',
    ]) {
      let text = '';
      try {
        text = renderChat(attack, [user('a')]);
      } catch (error) {
        expect(error).toMatchObject({ code: 'chat/template' });
      }
      expect(text).not.toMatch(/function|object|PATH|native/i);
    }
  });

  test.each([
    ['a text', CHATML, CHATML],
    [
      'a list',
      [
        { name: 'tool_use', template: 'no' },
        { name: 'default', template: CHATML },
      ],
      CHATML,
    ],
    ['a list without default', [{ name: 'rag', template: CHATML }], CHATML],
    ['none', undefined, undefined],
    ['null', null, undefined],
  ])('are found in tokenizer_config.json as %s', (_, given, found) => {
    const { tokenizer } = withConfig(smallDecoder(), { chat_template: given });
    expect(tokenizer && chatTemplateOf(tokenizer)).toBe(found);
  });

  test.each([[7], [[]], [[{ name: 'default' }]], [{ default: CHATML }], ['x'.repeat(1_000_001)]])(
    'of another kind are refused: %#',
    (given) => {
      const { tokenizer } = withConfig(smallDecoder(), { chat_template: given });
      expect(() => tokenizer && chatTemplateOf(tokenizer)).toThrow(failsWith('chat/template'));
    },
  );

  test('in a file of their own come first, and are saved again', async () => {
    const other = join(place, 'other');
    await saveModel(withConfig(smallDecoder(), { chat_template: 'old' }), other);
    await writeFile(join(other, 'chat_template.jinja'), CHATML);
    await using model = await loadModelFolder(other);
    expect(model.tokenizer && chatTemplateOf(model.tokenizer)).toBe(CHATML);
    await saveModel(model, join(place, 'again'));
    await using again = await loadModelFolder(join(place, 'again'));
    expect(again.tokenizer && chatTemplateOf(again.tokenizer)).toBe(CHATML);
    await writeFile(join(other, 'chat_template.jinja'), new Uint8Array([0xff]));
    await expect(loadModelFolder(other)).rejects.toThrow(failsWith('chat/utf8'));
  });
});

describe('messages', () => {
  test.each([
    ['no role', [{ content: 'x' }], 'message 1'],
    ['an unknown role', [user('a'), { role: 'asistant', content: 'x' }], 'nearest: assistant'],
    ['another case', [{ role: 'User', content: 'x' }], 'nearest: user'],
    ['a role that is a number', [{ role: 1, content: 'x' }], 'message 1'],
    ['no content', [{ role: 'user' }], 'a text as content'],
    ['a list as content', [{ role: 'user', content: [{ type: 'text' }] }], 'a text as content'],
    ['null', [null], 'message 1'],
    ['nothing', [], 'empty'],
  ])('%s is refused', (_, messages, says) => {
    expect(() => checkMessages(messages)).toThrow(failsWith('chat/messages'));
    expect(() => checkMessages(messages)).toThrow(says);
  });
});

test('a model without a template gets plain lines, and ends before the next turn', () => {
  const model = smallDecoder();
  const { ids, stop } = chatPrompt(model, [user('abc'), said('d'), user('e')]);
  expect(model.tokenizer?.decode(ids)).toMatch(/abc.*d.*e.*assistant/s);
  expect(stop).toBe('\nUser:');
  const { tokenizer: _, ...rest } = model;
  expect(() => chatPrompt({ ...rest, tokenizer: undefined }, [user('a')])).toThrow(
    failsWith('models/no-tokenizer'),
  );
});

/** A decoder that goes on with the letters of `answers`, one after the other. */
function scripted(model: Model, answers: string[], context = 64) {
  const prompts: string[] = [];
  let rest: number[] = [];
  const logits = () => {
    const data = new Float32Array(32).fill(-10);
    data[rest.shift() ?? 0] = 10;
    return { dtype: 'f32', shape: [1, 32], data } as const;
  };
  const decoder = {
    model: { ...model, config: { ...model.config, eos_token_id: 0 } },
    context,
    start: (ids: readonly number[]) => ids,
    async prefill([ids]: readonly (readonly number[])[]) {
      prompts.push(model.tokenizer?.decode(ids) ?? '');
      rest = model.tokenizer?.encode(answers.shift() ?? '') ?? [];
      return { logits: logits(), cache: { length: ids.length, dispose: async () => {} } };
    },
    step: async () => logits(),
  };
  return { decoder: decoder as unknown as Decoder, prompts };
}

const quiet = { maxNewTokens: 16, signal: new AbortController().signal };

describe('a session', () => {
  const model = withConfig(smallDecoder(), {
    chat_template: "{% for m in messages %}{{ m.role[0] + ',' + m.content + '.' }}{% endfor %}",
  });

  test('remembers turns, streams, and begins anew', async () => {
    const { decoder, prompts } = scripted(model, [' hello', 'yes', 'no']);
    const chat = openChat(decoder, 'be kind');
    const pieces: string[] = [];
    const print = (text: string) => pieces.push(text);
    const first = await chat.answer('hi', { ...quiet, print });
    expect(first).toMatchObject({ text: 'hello', finish: 'eos', tokens: 7 });
    expect(pieces.join('')).toBe('hello');
    expect(pieces.length).toBeGreaterThan(3);
    await chat.answer('ok', { ...quiet, print });
    expect(prompts[1]).toBe('s,be kind.u,hi.a,hello.u,ok.');
    chat.reset();
    expect(chat.messages).toEqual([{ role: 'system', content: 'be kind' }]);
    chat.reset('');
    await chat.answer('x', { ...quiet, print });
    expect(prompts[2]).toBe('u,x.');
  });

  test('leaves out the oldest turns, never the system message, when the context is full', async () => {
    const { decoder, prompts } = scripted(model, Array(8).fill('aaaaaaa'));
    const chat = openChat(decoder, 'sys');
    const left: number[] = [];
    for (let i = 0; i < 6; i++) {
      const report = (count: number) => left.push(count);
      await chat.answer('bbbbb', { ...quiet, print: () => {}, left: report });
    }
    expect(left.at(-1)).toBeGreaterThan(4);
    expect(prompts.every((prompt) => prompt.startsWith('s,sys.u,bbbbb'))).toBe(true);
    expect(prompts.at(-1)?.length).toBeLessThan(49);
    expect(chat.messages).toHaveLength(13);
  });

  test('an answer that was stopped counts, a message that failed does not', async () => {
    const { decoder } = scripted(model, ['abcdef', 'x']);
    const chat = openChat(decoder, undefined);
    const stop = new AbortController();
    let text = '';
    const print = (piece: string) => {
      text += piece;
      if (text.length === 3) stop.abort();
    };
    const answer = await chat.answer('q', { maxNewTokens: 16, signal: stop.signal, print });
    expect(answer).toMatchObject({ text: 'abc', finish: 'stopped' });
    expect(chat.messages).toHaveLength(2);
    const failing = { ...decoder, prefill: () => Promise.reject(new Error('broken')) };
    const other = openChat(failing as unknown as Decoder, undefined);
    await expect(other.answer('q', { ...quiet, print })).rejects.toThrow('broken');
    expect(other.messages).toEqual([]);
  });
});

describe('the command', { timeout: 120_000 }, () => {
  const chat = (stdin: string, ...options: string[]): Promise<Ended> =>
    start(['chat', folder, '--max-new-tokens', '4', ...options], { stdin }).ended;

  test('answers each line of a pipe, with commands between', async () => {
    const saved = join(place, 'talk.json');
    const input = `abc\n/system be kind\n\n//x\n/save ${saved}\n/exit\nnot read\n`;
    const { code, stdout, stderr } = await chat(input);
    expect(stderr).toContain('saved to');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    const { messages } = JSON.parse(await readFile(saved, 'utf8'));
    expect(messages).toHaveLength(3);
    expect(messages[0]).toEqual({ role: 'system', content: 'be kind' });
    expect(messages[1]).toEqual({ role: 'user', content: '/x' });
    const again = await chat(`/save ${saved}\n`);
    expect(again.stderr).toContain('file/exists');
  });

  test('as JSON, one line an answer', async () => {
    const { code, stdout } = await chat('abc\ndef\n', '--json', '--quiet');
    expect(code).toBe(0);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toHaveLength(2);
    expect(answers[0]).toMatchObject({ role: 'assistant', tokens: 4, finish: 'length' });
  });

  test('the first Ctrl-C stops the answer, the second ends the program', async ({ skip }) => {
    if (process.platform === 'win32') return skip('Windows has no such signals');
    const long = join(place, 'long');
    const endless = { ...smallDecoder().config, max_position_embeddings: 100_000 };
    await saveModel(
      { ...withConfig(smallDecoder(), { chat_template: 'a' }), config: endless },
      long,
    );
    const most = ['--max-new-tokens', '99000'];
    const { child, ended } = start(['chat', long, ...most], { open: true });
    let written = '';
    child.stdout?.on('data', (text) => {
      written += text;
    });
    const until = async (holds: () => boolean) => {
      while (!holds()) await new Promise((done) => setTimeout(done, 10));
    };
    const lines = () => written.split('\n').length - 1;
    for (const turn of [0, 1]) {
      const before = written.length;
      child.stdin?.write('a\n');
      await until(() => written.length > before + 3);
      expect(lines()).toBe(turn);
      child.kill('SIGINT');
      await until(() => lines() === turn + 1);
    }
    // Nothing is being answered.
    child.kill('SIGINT');
    const { code, stdout } = await ended;
    expect(code).toBe(130);
    expect(stdout.length).toBeLessThan(60_000);
  });

  test('says that it has no template, and refuses what is no command or no language model', async () => {
    const plain = join(place, 'plain');
    await saveModel(smallDecoder(), plain);
    const none = await start(['chat', plain, '--max-new-tokens', '2'], { stdin: 'a\n' }).ended;
    expect(none.code).toBe(0);
    expect(none.stderr).toContain('no chat template');
    const wrong = await chat('/rest\n');
    expect(wrong).toMatchObject({ code: 2 });
    expect(wrong.stderr).toContain('nearest: /reset');
    const encoder = await start(['chat', 'use-lite'], { stdin: '' }).ended;
    expect(encoder.stderr).toMatch(/models\/(kind|package)/);
  });
});
