// Reading an ONNX model as a graph of tensors: the opposite of from-graph.ts, for anybody's files.
// Every operator has a builder (import/table.ts); what depends on constants alone is computed at once,
// and arithmetic on shapes with symbolic sizes becomes symbolic sizes (import/symbolic.ts).
//
// Not imported: loops, sequences, strings, random numbers, shapes that depend on data. `If` is, where
// its condition is known.
import {
  AnyformerError,
  type Graph,
  graph as graphOf,
  input,
  type NDArray,
  nearest,
  parameter,
  Tensor,
  within,
} from '../tensor/index.js';
import { isNative } from './element-type.js';
import { nextOutput, parameterInput } from './from-graph.js';
import { computeNow, constantArray, folded, isWeight } from './import/constant.js';
import { sizeReader } from './import/inputs.js';
import { moduleOutputs, modulePath } from './import/module-path.js';
import { type Built, importError, labelOf, NodeReader } from './import/node-reader.js';
import { symbolicOutputs } from './import/symbolic.js';
import { builderOf } from './import/table.js';
import { Value } from './import/value.js';
import { quote } from './limits.js';
import {
  type Initializer,
  isExternal,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
} from './model.js';

export type FromOnnxOptions = {
  /**
   * Symbolic sizes by the text that the file has for them: a number fixes one, a name renames it (one
   * name for two says that they are equal).
   */
  sizes?: Readonly<Record<string, number | string>>;
  /** Inputs to fix, which are then no inputs of the graph: flags, target shapes, numbers of steps. */
  inputs?: Readonly<Record<string, NDArray>> | ReadonlyMap<string, NDArray>;
};

export type Imported = {
  /**
   * Inputs and outputs as the file names them (inputs that no output depends on are left out).
   * Where a value leaves the module that its node is named after, it is tagged with the module path.
   */
  graph: Graph;
  /** The weights that the graph reads, by the names of the initializers. */
  parameters: Map<string, NDArray>;
  /** The module path of each parameter's first reader, where the node's name has one. */
  readers: Map<string, string>;
};

/**
 * The graph of a model and its weights. Initializers become parameters, but for whole numbers that
 * shapes and positions are made of and anonymous single numbers, which become constants; weights
 * in `Constant` nodes are parameters too. Throws `onnx/import`, naming the node, where a model cannot
 * be read so. `checkModel` comes first for files from outside.
 */
export function fromOnnx(model: OnnxModel, options: FromOnnxOptions = {}): Imported {
  const importer = new Importer(model, options);
  return importer.run();
}

const unequalSizes = 'where symbolic sizes are equal in fact, or fixed, say so by options.sizes';

type Scope = { values: Map<string, Value>; outer: Scope | undefined };

class Importer {
  readonly #model: OnnxModel;
  readonly #fixed: ReadonlyMap<string, NDArray>;
  readonly #sizes: Readonly<Record<string, number | string>>;
  readonly #ours: boolean;
  readonly #weights = new Map<string, NDArray>();
  readonly #readers = new Map<string, string>();

  constructor(model: OnnxModel, { inputs = {}, sizes = {} }: FromOnnxOptions) {
    this.#model = model;
    this.#fixed = inputs instanceof Map ? inputs : new Map(Object.entries(inputs));
    this.#sizes = sizes;
    this.#ours = model.producer.name === 'anyformer';
  }

  run(): Imported {
    const { graph } = this.#model;
    const scope: Scope = { values: new Map(), outer: undefined };
    this.#addInputs(graph, scope);
    this.#addGraph(graph, scope);
    const outputs = new Map<string, Tensor>();
    const updates = new Map<string, Tensor>();
    const next = nextOutput('');
    for (const { name } of graph.outputs) {
      const { tensor } = this.#find(scope, name, 'the outputs');
      if (this.#ours && name.startsWith(next)) updates.set(name.slice(next.length), tensor);
      else outputs.set(name, tensor);
    }
    const imported = graphOf(outputs, updates);
    const weights = [...this.#weights].filter(([name]) => imported.parameters.has(name));
    return { graph: imported, parameters: new Map(weights), readers: this.#readers };
  }

  #addInputs({ inputs, initializers }: OnnxGraph, scope: Scope): void {
    const unknown = [...this.#fixed.keys()].find((one) => !inputs.some(({ name }) => name === one));
    if (unknown !== undefined) {
      const names = inputs.map(({ name }) => name);
      throw importError({
        what: `the model has no input ${quote(unknown)} to fix`,
        expected: nearest(unknown, names).map(quote).join(', '),
        found: quote(unknown),
      });
    }
    const fed = inputs.filter(({ name }) => !this.#fixed.has(name) && !initializers.has(name));
    const read = sizeReader(fed, this.#sizes);
    for (const [name, array] of this.#fixed) scope.values.set(name, Value.constant(array));
    for (const info of fed) {
      const { name, dtype } = info;
      const shape = read(info);
      if (dtype === undefined || !isNative(dtype) || shape === undefined) {
        throw importError({
          what: `the input ${quote(name)} is no tensor of a known type and rank`,
          expected: 'an element type that arrays have, and sizes',
          found: `${dtype ?? 'no type'}${shape ? '' : ' of unknown rank'}`,
        });
      }
      const held = this.#ours && name.startsWith(parameterInput(''));
      const leaf = held
        ? parameter(name.slice(parameterInput('').length), dtype, shape)
        : input(name, dtype, shape);
      scope.values.set(name, Value.of(leaf));
    }
  }

  #addGraph(graph: OnnxGraph, scope: Scope): void {
    for (const [name, initializer] of graph.initializers) {
      if (!scope.values.has(name)) scope.values.set(name, this.#initializer(name, initializer));
    }
    const pathOf = (node: OnnxNode) => {
      const path = modulePath(node);
      // Our own writer's name for 'no module'.
      return this.#ours && path === 'graph' ? '' : path;
    };
    const leaving = moduleOutputs(graph, pathOf);
    for (const node of graph.nodes) {
      const path = pathOf(node);
      const values = within(path, node.op, () => this.#node(node, path, scope));
      node.outputs.forEach((name, i) => {
        const value = values[i];
        if (name === '' || !value) return;
        const modules = value.array || value.symbolic ? [] : (leaving.get(name) ?? []);
        scope.values.set(
          name,
          modules.length === 0
            ? value
            : Value.of(modules.reduce((tensor, module) => tensor.tag(module), value.tensor)),
        );
      });
    }
  }

  #initializer(name: string, initializer: Initializer): Value {
    if (isExternal(initializer)) {
      throw importError({
        what: `the initializer ${quote(name)} lies in a file beside the model`,
        expected: 'weights in memory',
        found: `a reference to ${quote(initializer.location)}`,
        hint: 'bring them in first: loadExternal',
      });
    }
    return isWeight(name, initializer)
      ? this.#weight(name, initializer)
      : Value.constant(initializer);
  }

  #weight(name: string, array: NDArray): Value {
    let free = name;
    // Two branches may give one name to two weights.
    for (let again = 1; this.#weights.has(free); again++) free = `${name}#${again}`;
    this.#weights.set(free, array);
    return Value.weight(parameter(free, array.dtype, array.shape), array);
  }

  #find(scope: Scope, name: string, reader: string): Value {
    for (let at: Scope | undefined = scope; at; at = at.outer) {
      const found = at.values.get(name);
      if (found) return found;
    }
    throw importError({ what: `${reader}: nothing is called ${quote(name)}` });
  }

  #node(node: OnnxNode, path: string, scope: Scope): readonly Value[] {
    const values = node.inputs.map((name) =>
      name === '' ? undefined : this.#find(scope, name, labelOf(node)),
    );
    for (const value of values) this.#noteReader(value, path);
    try {
      if (node.domain === '' && node.op === 'Constant') return [this.#constant(node)];
      if (node.domain === '' && node.op === 'If') return this.#branch(node, values[0], scope);
      return this.#outputs(node, values);
    } catch (error) {
      if (!(error instanceof AnyformerError) || error.code === 'onnx/import') throw error;
      const { what, expected, found, hint = unequalSizes } = error;
      throw importError({ what: `${labelOf(node)}: ${what}`, expected, found, hint, cause: error });
    }
  }

  #noteReader(value: Value | undefined, path: string): void {
    if (path === '' || !value?.array || value.constant) return;
    const { name } = value.tensor.node.attributes as { name: string };
    if (!this.#readers.has(name)) this.#readers.set(name, path);
  }

  #constant(node: OnnxNode): Value {
    const [[kind, attribute] = ['', undefined]] = Object.entries(node.attributes);
    const array = attribute && constantArray(attribute);
    if (!array) {
      throw importError({
        what: `${labelOf(node)}: this kind of constant is not supported`,
        expected: 'value, value_float, value_floats, value_int or value_ints',
        found: kind,
      });
    }
    const weight = array.data.length > 1 && isWeight(node.outputs[0], array);
    return weight ? this.#weight(node.outputs[0], array) : Value.constant(array);
  }

  /** The branch that a known condition takes, in place of the node. */
  #branch(node: OnnxNode, condition: Value | undefined, outer: Scope): readonly Value[] {
    const taken = this.#reader(node, [condition]).number(0) !== 0;
    const body = node.attributes[taken ? 'then_branch' : 'else_branch'];
    if (body?.kind !== 'graph')
      throw importError({ what: `${labelOf(node)}: a branch is missing` });
    const scope: Scope = { values: new Map(), outer };
    this.#addGraph(body.value, scope);
    return body.value.outputs.map(({ name }) => this.#find(scope, name, labelOf(node)));
  }

  #reader(node: OnnxNode, inputs: readonly (Value | undefined)[]): NodeReader {
    const opset = this.#model.opsets[node.domain] ?? 1;
    return new NodeReader(node, opset, inputs, (value) =>
      value.symbolic ? undefined : computeNow(value.tensor, this.#weights),
    );
  }

  #outputs(node: OnnxNode, values: readonly (Value | undefined)[]): readonly Value[] {
    const builder = builderOf(node);
    const build = (inputs: readonly (Value | undefined)[]): readonly Value[] => {
      const reader = this.#reader(node, inputs);
      const built = [builder(reader)].flat() as readonly Built[];
      reader.checkAllRead();
      const outputs = built.map((one) => (one instanceof Tensor ? Value.of(one) : one));
      return inputs.every((value) => !value || value.constant) ? outputs.map(folded) : outputs;
    };
    if (node.domain === '' && values.some((value) => value?.symbolic)) {
      const symbolic = symbolicOutputs(node, values, (arrays) => {
        const results = build(arrays.map((array) => array && Value.constant(array)));
        const found = results.flatMap(({ array }) => array ?? []);
        return found.length === results.length ? found : undefined;
      });
      if (symbolic) return symbolic.map((known) => Value.sizes(known));
    }
    return build(values);
  }
}
