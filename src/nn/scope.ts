// Scope: where a model function finds its parameters. The scope's path IS the checkpoint's name of
// what stands there: `h.0.attn`. Building a model over a scope makes its graph and, on the way,
// declares every parameter and every weight matrix it uses.
import {
  AnyformerError,
  type DType,
  isFloat,
  type NDArray,
  parameter,
  showShape,
  showType,
  Tensor,
  within,
} from '../tensor/index.js';
import type { MatrixSize, MatrixSpec } from './formats/format.js';

export type TensorInfo = { readonly dtype: DType; readonly shape: readonly number[] };

/** How a parameter begins where no checkpoint gives it. */
export type Init =
  | { kind: 'normal'; std: number }
  | { kind: 'constant'; value: number }
  | { kind: 'zeros' }
  | { kind: 'ones' };

/** Computes what a program reads from what the checkpoint stores, once, at load. */
export type Derivation = {
  readonly from: readonly string[];
  readonly compute: (stored: readonly NDArray[]) => NDArray;
};

export type ParameterDeclaration = TensorInfo & {
  readonly name: string;
  readonly init: Init;
  readonly derivation?: Derivation;
};

/** A matrix that a model uses: what compression passes work on. */
export type MatrixUse = {
  readonly path: string;
  /** Output features (or vocabulary entries). */
  readonly rows: number;
  /** Input features (or embedding width). */
  readonly columns: number;
  readonly format: MatrixSpec;
  /** `product`: multiplied with activations; `lookup`: rows are taken; tied matrices do both. */
  readonly roles: ReadonlySet<'product' | 'lookup'>;
};

/** Everything that building a model over a scope declared. */
export type Declarations = {
  /** Tensors that the checkpoint stores. */
  readonly stored: ReadonlyMap<string, ParameterDeclaration>;
  /** Parameters of the graph: stored ones, and those derived from them. */
  readonly parameters: ReadonlyMap<string, ParameterDeclaration>;
  readonly matrices: ReadonlyMap<string, MatrixUse>;
};

/** What a scope knows from outside. */
export type ScopeSource = {
  /** The stored tensor of a name; undefined where the checkpoint lacks it or none is given. */
  type?(name: string): TensorInfo | undefined;
  /** The weight format of the matrix at a path; dense unless told. */
  format?(path: string): MatrixSpec | undefined;
  /** Set where every tensor must be in the checkpoint. */
  strict?: boolean;
  /** Set where blocks are computed again for the gradient instead of kept. */
  recompute?: boolean;
};

type Registry = {
  source: ScopeSource;
  stored: Map<string, ParameterDeclaration>;
  parameters: Map<string, ParameterDeclaration>;
  matrices: Map<string, MatrixUse>;
  problems: AnyformerError[];
  /** Paths of the modules that are being built. */
  open: Set<string>;
};

export class Scope {
  readonly path: string;
  readonly #registry: Registry;

  private constructor(path: string, registry: Registry) {
    this.path = path;
    this.#registry = registry;
  }

  static root(source: ScopeSource = {}): Scope {
    return new Scope('', {
      source,
      stored: new Map(),
      parameters: new Map(),
      matrices: new Map(),
      problems: [],
      open: new Set(),
    });
  }

  get declarations(): Declarations {
    return this.#registry;
  }

  /** Whether blocks are computed again for the gradient. */
  get recomputes(): boolean {
    return this.#registry.source.recompute === true;
  }

  /** The scope below: `s.at('h', 0, 'attn')`; an empty name adds nothing. */
  at(...names: readonly (string | number)[]): Scope {
    const parts = [this.path, ...names].filter((part) => part !== '');
    return new Scope(parts.join('.'), this.#registry);
  }

  /**
   * The scope at the first of `names` under which the checkpoint has `tensor`; the first of them where
   * it has none. Files of one model are about with and without the prefix of its body: `tensor` is one
   * that no compression replaces, such as a norm's.
   */
  firstWith(tensor: string, names: readonly string[]): Scope {
    const { type } = this.#registry.source;
    const found = names.map((name) => this.at(name)).find((s) => type?.(s.name(tensor)));
    return found ?? this.at(names[0] ?? '');
  }

  /** The full name of a tensor of this scope. */
  name(suffix: string): string {
    return this.path === '' ? suffix : `${this.path}.${suffix}`;
  }

  /**
   * A parameter of the graph, stored in the checkpoint under its name. Floats stored in another width
   * (f16, bf16) are converted at load.
   */
  parameter(
    suffix: string,
    shape: readonly number[],
    { dtype = 'f32', init = { kind: 'zeros' } }: { dtype?: DType; init?: Init } = {},
  ): Tensor {
    const name = this.name(suffix);
    this.store(suffix, { dtype, shape }, init);
    this.#registry.parameters.set(name, { name, dtype, shape, init });
    return parameter(name, dtype, shape);
  }

  /** Declares a tensor that the checkpoint stores, for `derived` ones to be computed from. */
  store(suffix: string, { dtype, shape }: TensorInfo, init: Init = { kind: 'zeros' }): string {
    const name = this.name(suffix);
    const declared = { name, dtype, shape, init };
    const before = this.#registry.stored.get(name);
    if (before && showType(before) !== showType(declared)) {
      throw new AnyformerError('nn/shape', {
        what: `the model uses '${name}' in two shapes or types`,
        expected: showType(before),
        found: showType(declared),
      });
    }
    this.#registry.stored.set(name, declared);
    const problem = this.#problem(declared);
    if (problem && !before) this.#registry.problems.push(problem);
    return name;
  }

  #problem({ name, dtype, shape }: ParameterDeclaration): AnyformerError | undefined {
    const { source } = this.#registry;
    const found = source.type?.(name);
    if (!found) {
      if (!source.strict) return undefined;
      return new AnyformerError('nn/missing', {
        what: `the checkpoint has no tensor '${name}'`,
        expected: showType({ dtype, shape }),
        found: 'nothing',
      });
    }
    if (showShape(found.shape) === showShape(shape) && fits(found.dtype, dtype)) return undefined;
    return new AnyformerError('nn/shape', {
      what: `the tensor '${name}' of the checkpoint does not fit the model`,
      expected: showType({ dtype, shape }),
      found: showType(found),
      hint: 'check that config.json belongs to these weights',
    });
  }

  /** A parameter of the graph that is computed at load from stored tensors of this scope. */
  derived(suffix: string, type: TensorInfo, derivation: Derivation): Tensor {
    const name = this.name(suffix);
    const init: Init = { kind: 'zeros' };
    this.#registry.parameters.set(name, { name, ...type, init, derivation });
    return parameter(name, type.dtype, type.shape);
  }

  /**
   * Registers the matrix that stands here and returns the format it is held in: `native`, as the
   * family's checkpoints have it, unless it was compressed.
   */
  matrix(
    role: 'product' | 'lookup',
    { rows, columns }: MatrixSize,
    native: MatrixSpec = { format: 'dense' },
  ): MatrixSpec {
    const { matrices, source } = this.#registry;
    const format = source.format?.(this.path) ?? native;
    const roles = new Set(matrices.get(this.path)?.roles ?? []).add(role);
    matrices.set(this.path, { path: this.path, rows, columns, format, roles });
    return format;
  }

  /**
   * Runs a module here: operations carry its path, errors its kind, and its result is tagged with
   * the path, for `tap` and `patch`. A module inside another of the same path is no result of the path.
   */
  module<T>(kind: string, build: (s: Scope) => T): T {
    const { open } = this.#registry;
    const outermost = !open.has(this.path);
    open.add(this.path);
    try {
      const result = within(this.path, kind, () => build(this));
      const tagged = result instanceof Tensor && this.path !== '' && outermost;
      return (tagged ? result.tag(this.path) : result) as T;
    } finally {
      if (outermost) open.delete(this.path);
    }
  }

  /** Names an activation inside this module: `h.0.attn.pattern`. */
  tag(name: string, x: Tensor): Tensor {
    return x.tag(this.name(name));
  }

  /** Throws what the checkpoint lacks or holds in another shape: all of it at once. */
  check(): void {
    const { problems } = this.#registry;
    if (problems.length === 0) return;
    if (problems.length === 1) throw problems[0];
    const lines = problems.map(
      ({ what, expected, found }) => `${what} (expected ${expected}, found ${found})`,
    );
    throw new AnyformerError(problems[0].code, {
      what: `${problems.length} tensors do not fit the model:\n    ${lines.slice(0, 20).join('\n    ')}`,
      expected: 'every tensor of the model in its shape',
      found: `${problems.length} that do not fit`,
      hint: 'check that config.json belongs to these weights',
    });
  }
}

const fits = (stored: DType, wanted: DType): boolean =>
  stored === wanted || (isFloat(stored) && isFloat(wanted));
