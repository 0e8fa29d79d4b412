// The budget a user writes: `latency<=0.6x, quality>=0.98x, size<=8MB`. Constraints are separated by
// commas or semicolons and must all hold; each is a metric, one of <= >= < >, a number and a unit.
// Limits bind only from the side that costs something: upper limits for size, lower for quality.
// Judging measured numbers against a budget is judge.ts.
import { AnyformerError, nearest } from '../tensor/error.js';
import { refuseClash, refuseDirection, refuseImpossible } from './budget-rules.js';
import { type BudgetUnit, toBase, unitFor, unitsFor } from './budget-units.js';
import {
  BUDGET_EXAMPLE,
  type Budget,
  type Constraint,
  example,
  failure,
  glimpse,
  type Operator,
} from './constraint.js';
import { METRICS, type Metric } from './metric.js';

export {
  type Budget,
  type Constraint,
  type Operator,
  showBudget,
  showConstraint,
} from './constraint.js';

const MAX_LENGTH = 2000;

const SPACE = /[\s]*/y;
const NAME = /[\p{L}_][\p{L}\p{N}_@-]*/uy;
const OPERATOR = /[<>=≤≥!~]+/y;
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\d.])/iy;
const UNIT = /[^\s,;<>=≤≥]*/y;
const OPERATORS: Readonly<Record<string, Operator>> = {
  '<=': '<=',
  '>=': '>=',
  '<': '<',
  '>': '>',
  '≤': '<=',
  '≥': '>=',
};

/**
 * Reads a budget. Errors, each with the character it is about (from 1) and an example:
 * `budget/empty`, `budget/syntax`, `budget/unknown-metric`, `budget/operator`, `budget/number`,
 * `budget/unit`, `budget/direction` (a limit on the side that costs nothing), `budget/impossible`
 * (beyond what the metric can reach), `budget/contradiction`, `budget/duplicate`, `budget/too-long`.
 */
export function parseBudget(text: string, metrics: readonly Metric[] = METRICS): Budget {
  if (text.length > MAX_LENGTH) {
    throw new AnyformerError('budget/too-long', {
      what: 'the budget is too long',
      expected: `at most ${MAX_LENGTH} characters`,
      found: `${text.length}`,
    });
  }
  if (text.trim() === '') {
    throw new AnyformerError('budget/empty', {
      what: 'the budget is empty',
      expected: 'at least one limit',
      hint: `write for example "${BUDGET_EXAMPLE}"`,
    });
  }
  const reader = new Reader(text);
  const constraints: Constraint[] = [];
  for (;;) {
    const start = reader.skip();
    const constraint = readConstraint(reader, metrics);
    refuseClash(constraint, constraints, start);
    refuseDirection(constraint, start);
    refuseImpossible(constraint, start);
    constraints.push(constraint);
    const end = reader.skip();
    if (end === text.length) return { constraints };
    if (text[end] !== ',' && text[end] !== ';') {
      throw failure('budget/syntax', end, {
        what: `'${glimpse(text.slice(end))}' is not expected here`,
        expected: 'a comma and the next limit, or the end',
        hint: `write for example "${BUDGET_EXAMPLE}"`,
      });
    }
    reader.at = end + 1;
  }
}

class Reader {
  at = 0;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  /** Passes white space and says where it stopped. */
  skip(): number {
    this.take(SPACE);
    return this.at;
  }
}

function readConstraint(reader: Reader, metrics: readonly Metric[]): Constraint {
  const metric = readMetric(reader, metrics);
  const operator = readOperator(reader, metric);
  const amount = readAmount(reader, metric, operator);
  const unit = readUnit(reader, metric, operator, amount);
  const limit = toBase(amount.value, unit);
  if (!Number.isFinite(limit)) throw badNumber(amount.text, amount.at);
  return { metric, operator, amount: amount.value, unit, limit, relative: unit.of === 'ratio' };
}

function readMetric(reader: Reader, metrics: readonly Metric[]): Metric {
  const at = reader.skip();
  const name = reader.take(NAME);
  const names = metrics.map((metric) => metric.name);
  if (name === '') {
    const rest = reader.text.slice(at);
    throw failure('budget/syntax', at, {
      what: 'a limit must begin with the name of a metric',
      expected: `one of ${names.join(', ')}`,
      found: rest === '' ? 'the end of the budget' : `'${glimpse(rest)}'`,
      // "1,000": the comma has cut a number in two.
      hint: /^\d/.test(rest)
        ? 'write numbers without a thousands separator'
        : `write for example "${BUDGET_EXAMPLE}"`,
    });
  }
  const wanted = name.toLowerCase();
  const known = metrics.find((metric) => metric.name === wanted);
  if (known !== undefined) return known;
  const meant =
    metrics.find((metric) => metric.synonyms.includes(wanted))?.name ??
    nearest(wanted.slice(0, 40), names, 1)[0];
  throw failure('budget/unknown-metric', at, {
    what: `unknown metric '${glimpse(name)}'`,
    expected: `one of ${names.join(', ')}`,
    hint: `did you mean '${meant}'?`,
  });
}

function readOperator(reader: Reader, metric: Metric): Operator {
  const at = reader.skip();
  const written = reader.take(OPERATOR);
  if (Object.hasOwn(OPERATORS, written)) return OPERATORS[written];
  const rest = reader.text.slice(at);
  throw failure('budget/operator', at, {
    what: `${metric.name} needs a comparison`,
    expected: 'one of <=, >=, <, >',
    found: rest === '' ? 'the end of the budget' : `'${glimpse(written || rest)}'`,
    hint: `write for example "${example(metric)}"`,
  });
}

type Amount = { value: number; text: string; at: number };

function readAmount(reader: Reader, metric: Metric, operator: Operator): Amount {
  const at = reader.skip();
  const text = reader.take(NUMBER);
  if (text === '') {
    const rest = reader.text.slice(at);
    throw failure('budget/number', at, {
      what: `${metric.name}${operator} needs a number`,
      expected: 'digits with a decimal point where needed, not negative',
      found: rest === '' ? 'the end of the budget' : `'${glimpse(rest)}'`,
      hint: `write for example "${example(metric)}"`,
    });
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw badNumber(text, at);
  return { value, text, at };
}

function readUnit(reader: Reader, metric: Metric, operator: Operator, amount: Amount): BudgetUnit {
  const at = reader.skip();
  const text = reader.take(UNIT);
  const unit = unitFor(text, metric.unit);
  if (unit !== undefined) return unit;
  const known = unitsFor(metric.unit).map(({ name }) => name);
  const spelled = known.map((name) => (name === '' ? 'none (a plain number)' : name));
  const left = `${metric.name}${operator}`;
  const hint =
    text === '%'
      ? `a share of the original's ${metric.name} is written "${left}${amount.value / 100}x"`
      : text === ''
        ? `write "${left}${amount.text}x" for a multiple of the original, or an amount such as "${example(metric)}"`
        : `did you mean '${nearest(text.slice(0, 40), known.filter(Boolean), 1)[0]}'? An example: "${example(metric)}"`;
  throw failure('budget/unit', at, {
    what: text === '' ? `${left}${amount.text} has no unit` : `unknown unit '${glimpse(text)}'`,
    expected: `for ${metric.name} one of ${spelled.join(', ')}`,
    hint,
  });
}

const badNumber = (text: string, at: number): AnyformerError =>
  failure('budget/number', at, {
    what: `'${glimpse(text)}' is too large a number`,
    expected: 'a number below 1.8e308 in base units',
  });
