// Symbolic sizes at import time: reading the names that exporters give them, and deciding what can
// be decided about them (sizes are whole numbers of 0 or more, nothing else is known).
import { addDims, type Dim, dim, floorDiv, mulDims, subDims } from '../../tensor/index.js';

// A product of many sums would grow without bound.
const maxTokens = 60;

/**
 * A size as exporters write it: `seq`, `past + seq`, `2*seq - 1`, `floor((n + 1)/2)`; undefined for
 * other text.
 */
export function parseDim(text: string): Dim | undefined {
  const tokens = text.match(/[A-Za-z_]\w*|\d+|[-+*/()]|\S/g) ?? [];
  if (tokens.length > maxTokens) return undefined;
  let at = 0;
  const take = (token: string) => tokens[at] === token && ++at > 0;
  const need = (token: string) => {
    if (!take(token)) throw notADim;
  };
  const whole = () => {
    const number = Number(/^\d+$/.test(tokens[at] ?? '') ? tokens[at++] : Number.NaN);
    if (!Number.isSafeInteger(number)) throw notADim;
    return number;
  };
  const sum = (): Dim => {
    let total = take('-') ? mulDims(product(), -1) : product();
    for (;;) {
      if (take('+')) total = addDims(total, product());
      else if (take('-')) total = subDims(total, product());
      else return total;
    }
  };
  const product = (): Dim => {
    let total = factor();
    while (take('*')) total = mulDims(total, factor());
    return total;
  };
  const factor = (): Dim => {
    if (take('(')) {
      const inner = sum();
      need(')');
      return inner;
    }
    const token = tokens[at] ?? '';
    if (token === 'floor' && tokens[at + 1] === '(') {
      at += 2;
      const numerator = sum();
      need('/');
      const divisor = whole();
      need(')');
      if (divisor === 0) throw notADim;
      return floorDiv(numerator, divisor);
    }
    if (/^[A-Za-z_]/.test(token)) {
      at++;
      return dim(token);
    }
    return whole();
  };
  try {
    const found = sum();
    return at === tokens.length ? found : undefined;
  } catch (error) {
    if (error === notADim) return undefined;
    throw error;
  }
}

const notADim = new Error('not a size');

/** Whether a <= b whatever the sizes are. */
export function surelyAtMost(a: Dim, b: Dim): boolean {
  const rest = subDims(b, a);
  if (typeof rest === 'number') return rest >= 0;
  return rest.terms.every(({ coefficient }) => coefficient >= 0);
}

export const surelyLess = (a: Dim, b: Dim): boolean => surelyAtMost(addDims(a, 1), b);

/** Beyond any size: how exporters write "to the end". */
export const isEndless = (d: Dim): boolean => typeof d === 'number' && Math.abs(d) >= 2 ** 31 - 1;
