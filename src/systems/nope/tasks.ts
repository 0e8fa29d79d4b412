// Tasks of the study as token sequences: `<bos> prompt <sep> answer <eos>`. Each has a generator and a
// solver that knows nothing of it: the solver reads the prompt alone.
import { uniformAt } from '../../tensor/index.js';

export const BOS = 0;
export const SEP = 1;
export const EOS = 2;
export const PAD = 3;
const PLUS = 4;
/** The first digit; after the digits come plain tokens. */
const ZERO = 10;
const FIRST_TOKEN = 20;
const TOKENS = 100;
export const VOCABULARY = FIRST_TOKEN + TOKENS;

export type Sample = { prompt: readonly number[]; answer: readonly number[] };
/** Numbers in [0, 1). */
export type Draw = () => number;

export type Task = {
  readonly name: string;
  make(length: number, draw: Draw): Sample;
  /** The answer to a prompt, found another way. */
  solve(prompt: readonly number[]): number[];
};

const below = (n: number, draw: Draw): number => Math.floor(draw() * n);
const some = (length: number, draw: Draw): number[] =>
  Array.from({ length }, () => FIRST_TOKEN + below(TOKENS, draw));
const digits = (value: bigint): number[] => [...String(value)].map((d) => ZERO + Number(d));
const numberIn = (tokens: readonly number[]): bigint =>
  BigInt(tokens.map((t) => t - ZERO).join(''));

export const tasks: readonly Task[] = [
  {
    name: 'copy one token',
    make: (length, draw) => {
      const token = FIRST_TOKEN + below(TOKENS, draw);
      const prompt = new Array<number>(length).fill(token);
      return { prompt, answer: prompt };
    },
    solve: (prompt) => [...prompt],
  },
  {
    name: 'copy',
    make: (length, draw) => {
      const prompt = some(length, draw);
      return { prompt, answer: prompt };
    },
    solve: (prompt) => prompt.map((token) => token),
  },
  {
    name: 'reverse',
    make: (length, draw) => {
      const prompt = some(length, draw);
      return { prompt, answer: prompt.toReversed() };
    },
    solve: (prompt) => prompt.map((_, i) => prompt[prompt.length - 1 - i]),
  },
  {
    name: 'sum modulo ten',
    make: (length, draw) => {
      const prompt = Array.from({ length }, () => ZERO + 1 + below(9, draw));
      const sum = prompt.reduce((a, token) => a + token - ZERO, 0);
      return { prompt, answer: [ZERO + (sum % 10)] };
    },
    solve: (prompt) => {
      let last = 0;
      for (const token of prompt)
        for (let i = ZERO; i < token; i++) last = last === 9 ? 0 : last + 1;
      return [ZERO + last];
    },
  },
  {
    name: 'parity',
    make: (length, draw) => {
      const prompt = Array.from({ length }, () => ZERO + below(2, draw));
      return { prompt, answer: [ZERO + (prompt.filter((token) => token > ZERO).length % 2)] };
    },
    solve: (prompt) => [prompt.reduce((odd, token) => (token === ZERO ? odd : 21 - odd), ZERO)],
  },
  {
    name: 'addition',
    make: (length, draw) => {
      // Column by column from the right, with a carry; one operand has the full length.
      const [left, right] = [length, 1 + below(length, draw)].map((size) =>
        Array.from({ length: size }, (_, i) => (i === 0 ? 1 + below(9, draw) : below(10, draw))),
      );
      const answer: number[] = [];
      let carry = 0;
      for (let i = 1; i <= left.length; i++) {
        const column = left[left.length - i] + (right[right.length - i] ?? 0) + carry;
        answer.unshift(ZERO + (column % 10));
        carry = column > 9 ? 1 : 0;
      }
      if (carry > 0) answer.unshift(ZERO + 1);
      const written = (number: readonly number[]) => number.map((digit) => ZERO + digit);
      return { prompt: [...written(left), PLUS, ...written(right)], answer };
    },
    solve: (prompt) => {
      const plus = prompt.indexOf(PLUS);
      return digits(numberIn(prompt.slice(0, plus)) + numberIn(prompt.slice(plus + 1)));
    },
  },
];

/** Numbers in [0, 1) of a seed. */
export function drawing(seed: number): Draw {
  let at = 0;
  return () => uniformAt(seed, at++);
}

/** Tokens of a sample, and from which place on they are the answer. */
export function sequence({ prompt, answer }: Sample): { ids: number[]; from: number } {
  return { ids: [BOS, ...prompt, SEP, ...answer, EOS], from: prompt.length + 2 };
}

/** Samples whose solver says something else than their generator, over lengths 1..20. */
export function disagreements(perTask: number, seed: number): number {
  let wrong = 0;
  for (const [t, task] of tasks.entries()) {
    const draw = drawing(seed + t);
    for (let i = 0; i < perTask; i++) {
      const { prompt, answer } = task.make(1 + (i % 20), draw);
      if (task.solve(prompt).join() !== answer.join()) wrong++;
    }
  }
  return wrong;
}
