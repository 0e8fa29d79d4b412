// Scratchpads of the study: steps written before the answer, each made of up to five parts that flags
// turn on. `Thinking step by step:  in 3 4 comp 3+4 out 7 [ carry 0 ] re 1 2. Thus, 1 9`. Parts hold
// words; the words that mark parts, `#`, brackets and full stops are not among them.
import { AnyformerError } from '../../tensor/index.js';

export const PARTS = ['input', 'computation', 'output', 'variables', 'remaining'] as const;
export type Part = (typeof PARTS)[number];
export type Flags = Readonly<Record<Part, boolean>>;
export type Step = Readonly<Record<Part, string>>;
export type Scratchpad = { steps: readonly Partial<Step>[]; answer: string };

const HEAD = 'Thinking step by step:  ';
const TAIL = '. Thus, ';
const BETWEEN = ' # ';

const write: Readonly<Record<Part, (text: string) => string>> = {
  input: (text) => `in ${text}`,
  computation: (text) => `comp ${text}`,
  output: (text) => `out ${text}`,
  variables: (text) => `[ ${text} ]`,
  remaining: (text) => `re ${text}`,
};
const begin: Readonly<Record<Part, RegExp>> = {
  input: /^in (.+?)(?= comp | out | \[ | re |$)/,
  computation: /^comp (.+?)(?= out | \[ | re |$)/,
  output: /^out (.+?)(?= \[ | re |$)/,
  variables: /^\[ (.+?) \]/,
  remaining: /^re (.+)$/,
};

/** The text of a scratchpad, with the parts that the flags turn on. */
export function formatScratchpad({ steps, answer }: Scratchpad, flags: Flags): string {
  const texts = steps.map((step) =>
    PARTS.flatMap((part) => {
      const text = step[part];
      return flags[part] && text !== undefined ? [write[part](text)] : [];
    }).join(' '),
  );
  return HEAD + texts.join(BETWEEN) + TAIL + answer;
}

/** The scratchpad of a text. Errors: `systems/scratchpad`. */
export function parseScratchpad(text: string): Scratchpad {
  const end = text.lastIndexOf(TAIL);
  if (!text.startsWith(HEAD) || end < HEAD.length) throw unreadable(text);
  const answer = text.slice(end + TAIL.length);
  const steps = text
    .slice(HEAD.length, end)
    .split(BETWEEN)
    .map((written) => parseStep(written));
  return { steps, answer };
}

function parseStep(written: string): Partial<Step> {
  const step: Partial<Record<Part, string>> = {};
  let rest = written;
  for (const part of PARTS) {
    const found = begin[part].exec(rest);
    if (!found) continue;
    step[part] = found[1];
    rest = rest.slice(found[0].length).trimStart();
  }
  if (rest !== '') throw unreadable(written);
  return step;
}

const unreadable = (text: string) =>
  new AnyformerError('systems/scratchpad', {
    what: 'the text is no scratchpad',
    expected: `${HEAD}in .. comp .. out .. [ .. ] re .. # ..${TAIL}answer`,
    found: text.slice(0, 200),
  });

/** All 32 settings of the flags. */
export const allFlags: readonly Flags[] = Array.from({ length: 32 }, (_, bits) => ({
  input: (bits & 1) !== 0,
  computation: (bits & 2) !== 0,
  output: (bits & 4) !== 0,
  variables: (bits & 8) !== 0,
  remaining: (bits & 16) !== 0,
}));

/** Column by column, the sum of digits with its running total: the scratchpad of `sum modulo ten`. */
export function sumScratchpad(digits: readonly number[]): Scratchpad {
  let total = 0;
  const steps = digits.map((digit, i) => {
    const before = total;
    total = (total + digit) % 10;
    return {
      input: String(digit),
      computation: `${before} + ${digit}`,
      output: String(total),
      variables: `total ${total}`,
      remaining: digits.slice(i + 1).join(' ') || 'nothing',
    };
  });
  return { steps, answer: String(total) };
}

/** Settings in which some scratchpad does not come back from its text as the flags leave it. */
export function scratchpadMismatches(): number {
  const pads = [[3], [9, 9, 9], [1, 2, 3, 4, 5, 6, 7, 8]].map(sumScratchpad);
  const kept = ({ steps, answer }: Scratchpad, flags: Flags): Scratchpad => ({
    steps: steps.map((step) =>
      Object.fromEntries(PARTS.filter((part) => flags[part]).map((part) => [part, step[part]])),
    ),
    answer,
  });
  const same = (pad: Scratchpad, flags: Flags) =>
    JSON.stringify(parseScratchpad(formatScratchpad(pad, flags))) ===
    JSON.stringify(kept(pad, flags));
  return allFlags.filter((flags) => !pads.every((pad) => same(pad, flags))).length;
}
