// A conversation and its next answer. When the conversation outgrows the model's context the oldest turns
// are left out of what the model reads, never the system message.
import {
  type Decoder,
  type GenerateOptions,
  type GenerationStep,
  generate,
} from '../decode/index.js';
import { type ChatMessage, chatPrompt } from '../models/chat-template.js';
import type { Model } from '../models/model.js';

export type Answer = {
  text: string;
  tokens: number;
  /** Why it ended; `stopped` by the user. */
  finish: NonNullable<GenerationStep['finish']> | 'stopped';
};

export type ChatSession = {
  readonly messages: readonly ChatMessage[];
  /** A new conversation; the system message stays unless another is given. */
  reset(system?: string): void;
  /**
   * Adds the message and, when it ends, the answer. On an abort the answer so far counts; on an error
   * the message is taken back.
   */
  answer(message: string, options: AnswerOptions): Promise<Answer>;
};

export type AnswerOptions = GenerateOptions & {
  maxNewTokens: number;
  signal: AbortSignal;
  print(text: string): void;
  /** Told how many of the oldest messages the model does not read. */
  left?(count: number): void;
};

export function openChat(decoder: Decoder, system: string | undefined): ChatSession {
  let told = system;
  let messages: ChatMessage[] = [];
  const reset = (given = told) => {
    told = given === '' ? undefined : given;
    messages = told === undefined ? [] : [{ role: 'system', content: told }];
  };
  reset();
  return {
    get messages() {
      return messages;
    },
    reset,
    async answer(message, { print, left, ...options }) {
      const before = messages;
      messages = [...messages, { role: 'user', content: message }];
      try {
        const room = Math.min(options.maxNewTokens, decoder.context >> 2);
        const { ids, stop, out } = fitted(decoder, messages, room);
        if (out > 0) left?.(out);
        const steps = generate(decoder, ids, options);
        const answer = await written(steps, { model: decoder.model, stop, print, ...options });
        messages = [...messages, { role: 'assistant', content: answer.text }];
        return answer;
      } catch (error) {
        messages = before;
        throw error;
      }
    },
  };
}

/** The prompt of the newest turns that leave `room` for the answer. */
function fitted({ model, context }: Decoder, messages: readonly ChatMessage[], room: number) {
  const head = messages.filter(({ role }, i) => i === 0 && role === 'system');
  let turns = messages.slice(head.length);
  for (;;) {
    const prompt = chatPrompt(model, [...head, ...turns]);
    // The last message alone may still be too long: the decoder says by how much.
    if (prompt.ids.length + room <= context || turns.length === 1) {
      return { ...prompt, out: messages.length - head.length - turns.length };
    }
    turns = turns.slice(2);
  }
}

type Writing = Pick<AnswerOptions, 'signal' | 'print'> & { model: Model; stop: string | undefined };

async function written(
  steps: AsyncIterable<GenerationStep>,
  { model, stop, signal, print }: Writing,
): Promise<Answer> {
  let text = '';
  let shown = 0;
  let tokens = 0;
  let finish: Answer['finish'] = 'stopped';
  const show = (end: number) => {
    if (end > shown) print(text.slice(shown, end));
    shown = Math.max(shown, end);
  };
  try {
    for await (const step of steps) {
      tokens++;
      // Templates end before the space that may stand before an answer.
      text = (text + withoutEnd(step, model)).replace(/^\s+/, '');
      finish = step.finish ?? finish;
      const at = stop === undefined ? -1 : text.indexOf(stop);
      if (at >= 0) {
        text = text.slice(0, at);
        finish = 'eos';
        break;
      }
      show(text.length - (stop === undefined ? 0 : heldBack(text, stop)));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  show(text.length);
  return { text: text.trimEnd(), tokens, finish };
}

/** The text of a step; of an end token that has a text of its own, what it completes. */
function withoutEnd({ id, text, finish }: GenerationStep, { tokenizer }: Model): string {
  const own = finish === 'eos' ? (tokenizer?.decode([id]) ?? '') : '';
  return own !== '' && text.endsWith(own) ? text.slice(0, -own.length) : text;
}

/** Length of the text's end that may be the beginning of `stop`. */
function heldBack(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1);
  while (length > 0 && !stop.startsWith(text.slice(-length))) length--;
  return length;
}
