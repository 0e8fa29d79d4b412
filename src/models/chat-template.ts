// A conversation as the text that a chat model was trained on: the Jinja template of its tokenizer,
// rendered by @huggingface/jinja. The template comes from outside; it computes text and nothing else.
// Models without one get a plain form, which is told by `chatPrompt`.
import { Template } from '@huggingface/jinja';
import { exists, fileBytes, joinPath, readFile } from '#platform';
import { AnyformerError, nearest } from '../tensor/index.js';
import { decodeUtf8, printable } from './json-strict.js';
import type { Model } from './model.js';
import type { TextTokenizer } from './tokenizer.js';

export type ChatMessage = { readonly role: string; readonly content: string };

const ROLES = ['system', 'user', 'assistant', 'tool', 'developer'];
const MAX_TEMPLATE_BYTES = 1_000_000;
const FILE = 'chat_template.jinja';

/** The template of a folder that keeps it in a file of its own. */
export async function readChatTemplate(folder: string): Promise<string | undefined> {
  const file = joinPath(folder, FILE);
  if (!(await exists(file))) return undefined;
  const size = await fileBytes(file);
  if (size > MAX_TEMPLATE_BYTES) throw wrongTemplate(file, `${size} bytes`);
  return decodeUtf8(await readFile(file), file, 'chat');
}

/**
 * The template that a tokenizer's config names: one text, or the one called `default` of a list.
 * Undefined where there is none. Errors: `chat/template`.
 */
export function chatTemplateOf({ files }: TextTokenizer): string | undefined {
  const { chat_template: given } = files.config as { chat_template?: unknown };
  if (given === undefined || given === null) return undefined;
  const file = 'tokenizer_config.json';
  const named = Array.isArray(given) ? (given as { name?: unknown; template?: unknown }[]) : [];
  const found = Array.isArray(given)
    ? (named.find((one) => one?.name === 'default') ?? named[0])?.template
    : given;
  if (typeof found !== 'string') throw wrongTemplate(file, `a chat_template of another kind`);
  if (found.length > MAX_TEMPLATE_BYTES) throw wrongTemplate(file, `${found.length} characters`);
  return found;
}

const wrongTemplate = (file: string, found: string) =>
  new AnyformerError('chat/template', {
    what: `${file} holds no chat template that can be used`,
    expected: `a Jinja template of at most ${MAX_TEMPLATE_BYTES} characters`,
    found,
  });

/** Errors: `chat/messages`, naming the first message that is none. */
export function checkMessages(messages: readonly unknown[]): asserts messages is ChatMessage[] {
  const wrong = (i: number, expected: string, found: unknown, hint?: string) =>
    new AnyformerError('chat/messages', {
      what: `message ${i + 1} of ${messages.length} is not one of a conversation`,
      expected,
      found: printable(typeof found === 'string' ? found : (JSON.stringify(found) ?? 'nothing')),
      hint,
    });
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    const roles = `a role: ${ROLES.join(', ')}`;
    if (typeof role !== 'string') throw wrong(i, roles, role);
    if (!ROLES.includes(role)) {
      throw wrong(
        i,
        roles,
        role,
        `nearest: ${nearest(role.slice(0, 40).toLowerCase(), ROLES, 1)[0]}`,
      );
    }
    if (typeof content !== 'string') throw wrong(i, 'a text as content', content);
  }
  if (messages.length === 0) {
    throw new AnyformerError('chat/messages', {
      what: 'the conversation is empty',
      expected: 'at least one message',
      found: 'none',
    });
  }
}

const TOKENS = ['bos_token', 'eos_token', 'unk_token', 'pad_token', 'sep_token', 'cls_token'];

/** Special tokens by the names that templates use. */
function specialTokens(config: object): Record<string, string> {
  return Object.fromEntries(
    TOKENS.flatMap((name) => {
      const given = (config as Record<string, unknown>)[name];
      const content = typeof given === 'object' ? (given as { content?: unknown })?.content : given;
      return typeof content === 'string' ? [[name, content]] : [];
    }),
  );
}

/**
 * The conversation as one text, ending where the assistant is to go on. Errors: `chat/messages`;
 * `chat/template` with the template's own complaint (most refuse roles that do not alternate).
 */
export function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  config: object = {},
): string {
  checkMessages(messages);
  try {
    return new Template(template).render({
      ...specialTokens(config),
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: true,
      tools: null,
      documents: null,
    });
  } catch (cause) {
    throw new AnyformerError('chat/template', {
      what: "the model's chat template refuses the conversation",
      expected: 'messages in the order that it was made for, mostly user and assistant in turn',
      found: printable(cause instanceof Error ? cause.message : String(cause), 300),
      hint: `the roles are: ${messages
        .map(({ role }) => role)
        .join(', ')
        .slice(0, 200)}`,
      cause,
    });
  }
}

export type ChatPrompt = {
  readonly ids: readonly number[];
  /** What begins the other's turn in the plain form: the answer ends before it. */
  readonly stop: string | undefined;
};

/** Turns by name, a line each: what a model without a template may go on with. */
function plainChat(messages: readonly ChatMessage[]): string {
  checkMessages(messages);
  const names: Readonly<Record<string, string>> = { user: 'User: ', assistant: 'Assistant: ' };
  const lines = messages.map(({ role, content }) => `${names[role] ?? ''}${content}\n`);
  return `${lines.join('')}Assistant:`;
}

/** Whether a model's tokenizer has a chat template. */
export const hasChatTemplate = ({ tokenizer }: Model): boolean =>
  tokenizer !== undefined && chatTemplateOf(tokenizer) !== undefined;

/** The tokens of a conversation. Errors: `models/no-tokenizer` and those of `renderChat`. */
export function chatPrompt(
  { name, tokenizer }: Model,
  messages: readonly ChatMessage[],
): ChatPrompt {
  if (!tokenizer) {
    throw new AnyformerError('models/no-tokenizer', {
      what: `'${name}' has no tokenizer`,
      expected: 'tokenizer.json beside config.json',
      found: 'none',
    });
  }
  const template = chatTemplateOf(tokenizer);
  if (template === undefined) {
    return { ids: tokenizer.encode(plainChat(messages)), stop: '\nUser:' };
  }
  // A template writes the special tokens itself.
  const text = renderChat(template, messages, tokenizer.files.config);
  return { ids: tokenizer.encode(text, { special: false }), stop: undefined };
}
