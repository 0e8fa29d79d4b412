// Dimensions. A dimension is a number, or a symbolic integer: a polynomial with integer coefficients
// over named sizes ("batch", "seq") and over floor divisions, minima, maxima and logarithms of such
// polynomials. Polynomials are kept in one canonical form, so two dimensions that differ by these
// rules of arithmetic alone have one key.
import { AnyformerError } from './error.js';

export type Dim = number | SymbolicDim;
export type Shape = readonly Dim[];
/** Where users write shapes, a string names a symbolic size. */
export type DimLike = Dim | string;
/** The value of each named size. */
export type Bindings = Readonly<Record<string, number>>;

type Floor = { numerator: Dim; divisor: number };
type Call = { call: 'min' | 'max'; a: Dim; b: Dim } | { call: 'ceilLog'; a: Dim; factor: number };
type Atom = string | Floor | Call;
type Term = { coefficient: number; atoms: readonly Atom[] };

export class SymbolicDim {
  /** Canonical text: equal keys mean equal dimensions. */
  readonly key: string;
  readonly terms: readonly Term[];

  constructor(terms: readonly Term[], key: string) {
    this.terms = terms;
    this.key = key;
  }

  toString(): string {
    return this.key;
  }
}

function atomKey(atom: Atom): string {
  if (typeof atom === 'string') return atom;
  if ('divisor' in atom) return `floor((${atom.numerator})/${atom.divisor})`;
  if (atom.call !== 'ceilLog') return `${atom.call}(${atom.a}, ${atom.b})`;
  return `ceil(${atom.factor === 1 ? '' : `${atom.factor} `}log(${atom.a}))`;
}

const termKey = (term: Term): string => term.atoms.map(atomKey).join('*');

/** A monomial order (by degree, then by the atoms one after another), which long division needs. */
function byOrder(a: Term, b: Term): number {
  if (a.atoms.length !== b.atoms.length) return b.atoms.length - a.atoms.length;
  for (const [i, atom] of a.atoms.entries()) {
    const [x, y] = [atomKey(atom), atomKey(b.atoms[i])];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

function normal(terms: Iterable<Term>): Dim {
  const sums = new Map<string, Term>();
  for (const term of terms) {
    const atoms = [...term.atoms].sort((a, b) => (atomKey(a) < atomKey(b) ? -1 : 1));
    const key = atoms.map(atomKey).join('*');
    const before = sums.get(key)?.coefficient ?? 0;
    sums.set(key, { coefficient: before + term.coefficient, atoms });
  }
  const kept = [...sums.values()].filter((term) => term.coefficient !== 0).sort(byOrder);
  if (kept.length === 0) return 0;
  if (kept.length === 1 && kept[0].atoms.length === 0) return kept[0].coefficient;
  const key = kept
    .map((term) => {
      const name = termKey(term);
      if (name === '') return String(term.coefficient);
      return term.coefficient === 1 ? name : `${term.coefficient}*${name}`;
    })
    .join(' + ');
  return new SymbolicDim(kept, key);
}

const termsOf = (dim: Dim): readonly Term[] =>
  typeof dim === 'number' ? [{ coefficient: dim, atoms: [] }] : dim.terms;

/** A named size, or the dimension as it is. */
export function dim(value: DimLike): Dim {
  if (typeof value === 'string') {
    if (!/^[A-Za-z_]\w*$/.test(value)) {
      throw new AnyformerError('tensor/dim', {
        what: `'${value}' is not a name for a dimension`,
        expected: 'letters, digits and _, beginning with a letter',
        found: value,
      });
    }
    return normal([{ coefficient: 1, atoms: [value] }]);
  }
  if (typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0)) {
    throw new AnyformerError('tensor/dim', {
      what: `${value} is not a size`,
      expected: 'a whole number >= 0 or a name',
      found: String(value),
    });
  }
  return value;
}

export const sameDim = (a: Dim, b: Dim): boolean =>
  typeof a === 'number' || typeof b === 'number' ? a === b : a.key === b.key;

export const addDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? a + b : normal([...termsOf(a), ...termsOf(b)]);

export const scaleDim = (a: Dim, factor: number): Dim => mulDims(a, factor);

export const subDims = (a: Dim, b: Dim): Dim => addDims(a, scaleDim(b, -1));

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  return normal(
    termsOf(a).flatMap((x) =>
      termsOf(b).map((y) => ({
        coefficient: x.coefficient * y.coefficient,
        atoms: [...x.atoms, ...y.atoms],
      })),
    ),
  );
}

/**
 * floor(a / divisor), divisor >= 1. Canonical: whole multiples of the divisor leave the floor, so that
 * coefficients under it are 0..divisor-1 (and a numerator of sizes is never negative); a floor of a
 * floor is one floor, floor((floor(x / m) + c) / d) = floor((x + c m) / (d m)).
 */
export function floorDiv(a: Dim, divisor: number): Dim {
  if (typeof a === 'number') return Math.floor(a / divisor);
  const part = (take: (coefficient: number) => number) =>
    normal(a.terms.map((term) => ({ ...term, coefficient: take(term.coefficient) })));
  const whole = part((c) => Math.floor(c / divisor));
  const rest = part((c) => c - divisor * Math.floor(c / divisor));
  if (typeof rest === 'number') return whole;
  const inner = soleFloor(rest);
  if (inner) {
    const { numerator, divisor: m } = inner.floor;
    return addDims(whole, floorDiv(addDims(numerator, inner.constant * m), divisor * m));
  }
  return addDims(whole, normal([{ coefficient: 1, atoms: [{ numerator: rest, divisor }] }]));
}

/** floor + constant, where the dimension is that. */
function soleFloor({ terms }: SymbolicDim): { floor: Floor; constant: number } | undefined {
  const [first, second] = terms;
  const [atom] = first.atoms;
  if (typeof atom === 'string' || !('divisor' in atom)) return undefined;
  const sole = first.coefficient === 1 && first.atoms.length === 1;
  if (!sole || terms.length > 2 || (second && second.atoms.length > 0)) return undefined;
  return { floor: atom, constant: second?.coefficient ?? 0 };
}

export const ceilDiv = (a: Dim, divisor: number): Dim => floorDiv(addDims(a, divisor - 1), divisor);

/** The smaller of two sizes; decided here where they differ by a number. */
export const minDims = (a: Dim, b: Dim): Dim => extreme('min', a, b);
export const maxDims = (a: Dim, b: Dim): Dim => extreme('max', a, b);

function extreme(call: 'min' | 'max', a: Dim, b: Dim): Dim {
  const difference = subDims(a, b);
  if (typeof difference === 'number') return difference < 0 === (call === 'min') ? a : b;
  const [first, second] = String(a) < String(b) ? [a, b] : [b, a];
  return normal([{ coefficient: 1, atoms: [{ call, a: first, b: second }] }]);
}

/** ceil(factor ln a), 0 for sizes up to 1: how many queries ProbSparse attention keeps of a. */
export const ceilLog = (a: Dim, factor = 1): Dim =>
  typeof a === 'number'
    ? Math.ceil(factor * Math.log(Math.max(1, a)))
    : normal([{ coefficient: 1, atoms: [{ call: 'ceilLog', a, factor }] }]);

/** a / b where b divides a as a polynomial, by long division; undefined where it does not. */
export function exactDiv(a: Dim, b: Dim): Dim | undefined {
  if (sameDim(a, b)) return 1;
  if (b === 0) return undefined;
  const [lead] = termsOf(b);
  let rest = a;
  let quotient: Dim = 0;
  for (let step = 0; rest !== 0; step++) {
    const term = divideTerm(termsOf(rest)[0], lead);
    if (!term || step === 100) return undefined;
    quotient = addDims(quotient, normal([term]));
    rest = subDims(rest, mulDims(normal([term]), b));
  }
  return quotient;
}

function divideTerm(term: Term, by: Term): Term | undefined {
  if (term.coefficient % by.coefficient !== 0) return undefined;
  const atoms = [...term.atoms];
  for (const atom of by.atoms) {
    const at = atoms.findIndex((other) => atomKey(other) === atomKey(atom));
    if (at < 0) return undefined;
    atoms.splice(at, 1);
  }
  return { coefficient: term.coefficient / by.coefficient, atoms };
}

export const shapeSize = (shape: Shape): Dim => shape.reduce<Dim>(mulDims, 1);

/** The names that a dimension depends on. */
export function dimNames(a: Dim): Set<string> {
  const names = new Set<string>();
  for (const term of termsOf(a)) {
    for (const atom of term.atoms) {
      if (typeof atom === 'string') names.add(atom);
      else for (const part of partsOf(atom)) for (const name of dimNames(part)) names.add(name);
    }
  }
  return names;
}

function partsOf(atom: Floor | Call): readonly Dim[] {
  if ('divisor' in atom) return [atom.numerator];
  return atom.call === 'ceilLog' ? [atom.a] : [atom.a, atom.b];
}

/** The name, where the dimension is exactly one named size. */
export function plainName(a: Dim): string | undefined {
  if (typeof a === 'number' || a.terms.length !== 1) return undefined;
  const [{ coefficient, atoms }] = a.terms;
  return coefficient === 1 && atoms.length === 1 && typeof atoms[0] === 'string'
    ? atoms[0]
    : undefined;
}

/** The number that a dimension is under `bindings`. */
export function evaluateDim(a: Dim, bindings: Bindings): number {
  return foldDim<number>(a, {
    constant: (value) => value,
    name: (name) => {
      if (!Object.hasOwn(bindings, name)) {
        throw new AnyformerError('tensor/unbound', {
          what: `the size '${name}' has no value`,
          expected: `a number for ${name}`,
          found: `values for ${Object.keys(bindings).join(', ') || 'nothing'}`,
        });
      }
      return bindings[name];
    },
    add: (x, y) => x + y,
    mul: (x, y) => x * y,
    floorDiv: (x, divisor) => Math.floor(x / divisor),
    min: Math.min,
    max: Math.max,
    ceilLog: (x, factor) => Number(ceilLog(x, factor)),
  });
}

/** The sizes under `bindings`; a negative one (seq - 3 with seq = 2) is refused. */
export const evaluateShape = (shape: Shape, bindings: Bindings): number[] =>
  shape.map((d) => {
    const size = evaluateDim(d, bindings);
    if (size >= 0) return size;
    const values = [...dimNames(d)].map((name) => `${name} = ${bindings[name]}`).join(', ');
    throw new AnyformerError('tensor/size', {
      what: `the size ${d} is negative`,
      expected: 'a whole number >= 0',
      found: values === '' ? `${size}` : `${size} with ${values}`,
    });
  });

export type DimAlgebra<T> = {
  constant(value: number): T;
  name(name: string): T;
  add(a: T, b: T): T;
  mul(a: T, b: T): T;
  floorDiv(a: T, divisor: number): T;
  min(a: T, b: T): T;
  max(a: T, b: T): T;
  ceilLog(a: T, factor: number): T;
};

/** Reads a dimension in another algebra: numbers to evaluate it, graph nodes to compute it in ONNX. */
export function foldDim<T>(a: Dim, algebra: DimAlgebra<T>): T {
  if (typeof a === 'number') return algebra.constant(a);
  const terms = a.terms.map((term) => {
    const atoms = term.atoms.map((atom) => foldAtom(atom, algebra));
    if (term.coefficient !== 1 || atoms.length === 0) {
      atoms.unshift(algebra.constant(term.coefficient));
    }
    return atoms.reduce((x, y) => algebra.mul(x, y));
  });
  return terms.reduce((x, y) => algebra.add(x, y));
}

function foldAtom<T>(atom: Atom, algebra: DimAlgebra<T>): T {
  if (typeof atom === 'string') return algebra.name(atom);
  const [a, b] = partsOf(atom).map((part) => foldDim(part, algebra));
  if ('divisor' in atom) return algebra.floorDiv(a, atom.divisor);
  return atom.call === 'ceilLog' ? algebra.ceilLog(a, atom.factor) : algebra[atom.call](a, b);
}

/** Replaces named sizes by dimensions. */
export function substitute(a: Dim, replacements: ReadonlyMap<string, Dim>): Dim {
  return foldDim<Dim>(a, {
    constant: (value) => value,
    name: (name) => replacements.get(name) ?? dim(name),
    add: addDims,
    mul: mulDims,
    floorDiv,
    min: minDims,
    max: maxDims,
    ceilLog,
  });
}

export const showShape = (shape: Shape): string => `[${shape.map(String).join(', ')}]`;

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => sameDim(d, b[i]));

/**
 * NumPy broadcasting; undefined where the shapes do not agree. Two different symbolic sizes never
 * broadcast: a size of 1 that is only known at run time is not guessed at.
 */
export function broadcast(a: Shape, b: Shape): Dim[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (sameDim(x, y)) out.push(x);
    else if (x === 1) out.push(y);
    else if (y === 1) out.push(x);
    else return undefined;
  }
  return out;
}
