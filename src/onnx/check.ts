// The gate before native code: a model passes only if its graph is in single static assignment and
// runnable order, uses known operators with plausible inputs, and its weights are as large as they
// say. The rules are those of the ONNX standard (IR.md); the reader's limits are not repeated here.
// Shapes of intermediate values are not inferred: the runtime does that.
import { type AnyformerError, nearest } from '../tensor/error.js';
import { checkAttributes } from './check-attributes.js';
import { inferTypes, type MaybeType } from './check-types.js';
import { checkDefault, checkInitializer, checkValueInfo } from './check-values.js';
import { onnxError, quote } from './limits.js';
import { type OnnxGraph, type OnnxModel, type OnnxNode, subgraphs } from './model.js';
import { type Arity, knownOps, type OpTable } from './ops.js';

export type CheckOptions = {
  /** The operators that may occur; `extendOps(knownOps(), more)` adds some. */
  known?: OpTable;
};

const irVersions = { min: 3, max: 14 };
const maxGraphDepth = 32;
const optionalFirst = new Set(['Loop', 'Scan']);

/** The values that are defined so far, and those of the graphs around. */
type Scope = { types: Map<string, MaybeType>; outer: Scope | undefined; depth: number };
type Context = { opsets: Record<string, number>; known: OpTable };

const lookUp = (scope: Scope | undefined, name: string): Scope | undefined =>
  scope === undefined || scope.types.has(name) ? scope : lookUp(scope.outer, name);

/**
 * Throws an `onnx/...` error that names the node and the value for the first thing wrong; returns
 * nothing when the model may be handed to a runtime.
 */
export function checkModel(model: OnnxModel, options: CheckOptions = {}): void {
  const { irVersion, opsets } = model;
  if (!Number.isInteger(irVersion) || irVersion < irVersions.min || irVersion > irVersions.max) {
    throw onnxError('ir-version', {
      what: 'the model is of an IR version that is not supported',
      expected: `${irVersions.min} to ${irVersions.max}`,
      found: `${irVersion}`,
    });
  }
  for (const [domain, version] of Object.entries(opsets)) {
    if (!Number.isInteger(version) || version < 1) {
      throw onnxError('opset', {
        what: `the opset of domain ${quote(domain)} is not a version`,
        expected: 'an integer of 1 or more',
        found: `${version}`,
      });
    }
  }
  const context = { opsets, known: options.known ?? knownOps() };
  checkGraph(model.graph, 'graph', undefined, context);
}

/** Checks a graph and returns the types of its outputs. */
function checkGraph(
  graph: OnnxGraph,
  path: string,
  outer: Scope | undefined,
  context: Context,
): MaybeType[] {
  const scope: Scope = { types: new Map(), outer, depth: (outer?.depth ?? 0) + 1 };
  if (scope.depth > maxGraphDepth) {
    throw onnxError('limit', {
      what: `${path} lies too deep inside other graphs`,
      expected: `at most ${maxGraphDepth} levels`,
    });
  }
  for (const input of graph.inputs) {
    checkValueInfo(input, `input ${quote(input.name)} of ${path}`);
    define(scope, input.name, input.dtype, `input of ${path}`);
  }
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  for (const [name, initializer] of graph.initializers) {
    const label = `initializer ${quote(name)} of ${path}`;
    checkInitializer(initializer, name, label);
    const input = inputs.get(name);
    if (input !== undefined) checkDefault(input, initializer, label);
    else define(scope, name, initializer.dtype, label);
  }
  const names = new Set<string>();
  graph.nodes.forEach((node, index) => {
    const label = `${path}, node ${index} (${quote(node.op)} ${quote(node.name)})`;
    if (node.name !== '' && names.has(node.name)) {
      throw onnxError('duplicate', { what: `${label}: another node has the same name` });
    }
    names.add(node.name);
    checkNode(node, label, scope, context);
  });
  return checkOutputs(graph, path, scope);
}

function define(scope: Scope, name: string, type: MaybeType, label: string): void {
  if (name === '') throw onnxError('name', { what: `${label} has no name` });
  if (lookUp(scope, name) !== undefined) {
    throw onnxError('duplicate', {
      what: `${label}: the name ${quote(name)} is already taken`,
      expected: 'every value to be defined once',
    });
  }
  scope.types.set(name, type);
}

function checkNode(node: OnnxNode, label: string, scope: Scope, context: Context): void {
  checkArity(node, findOp(node, label, context), label);
  const types = node.inputs.map((name, index) => {
    if (name === '') return undefined;
    const holder = lookUp(scope, name);
    if (holder !== undefined) return holder.types.get(name);
    throw onnxError('undefined', {
      what: `${label}: input ${index} ${quote(name)} is not defined before this node`,
      expected: 'a graph input, an initializer or the output of an earlier node',
      hint: nearby(name, scope),
    });
  });
  checkAttributes(node, label);
  const inner = new Map(
    subgraphs(node).map(([name, graph]) => [
      name,
      checkGraph(graph, `${label}, ${name}`, scope, context),
    ]),
  );
  const known = node.domain === '' || node.domain === 'com.microsoft';
  const result = known ? inferTypes(node, types) : { outputs: [] };
  if ('problem' in result) throw onnxError('type', { what: label, ...result.problem });
  // Both branches of an If give its outputs; one branch's types are enough here.
  const branch = node.op === 'If' ? inner.get('then_branch') : undefined;
  const outputs = branch ?? result.outputs;
  node.outputs.forEach((name, index) => {
    if (name !== '') define(scope, name, outputs[index], `${label}, output ${index}`);
  });
}

/** The nearest of some of the defined names; bounded, however many and long they are. */
function nearby(name: string, scope: Scope): string {
  const names: string[] = [];
  for (const known of scope.types.keys()) {
    if (known.length <= 100) names.push(known);
    if (names.length === 500) break;
  }
  return `near: ${nearest(name.slice(0, 100), names).map(quote).join(', ')}`;
}

function findOp(node: OnnxNode, label: string, { opsets, known }: Context): Arity {
  const { domain, op } = node;
  if (!Object.hasOwn(opsets, domain)) {
    throw onnxError('opset', {
      what: `${label} is of domain ${quote(domain)}, which the model does not import`,
      expected: `one of ${Object.keys(opsets).slice(0, 10).map(quote).join(', ')}`,
      found: quote(domain),
    });
  }
  const ops = known.get(domain);
  const arity = ops?.get(op);
  if (arity !== undefined) return arity;
  throw onnxError('unknown-op', {
    what: `${label}: no operator ${quote(op)} is known in domain ${quote(domain)}`,
    hint:
      ops === undefined || op.length > 100
        ? undefined
        : `did you mean ${nearest(op, ops.keys()).join(', ')}`,
  });
}

function checkArity(node: OnnxNode, { inputs, outputs }: Arity, label: string): void {
  const within = (
    what: string,
    given: readonly string[],
    [min, max]: readonly [number, number],
  ) => {
    if (given.length >= min && given.length <= max) return;
    throw onnxError('arity', {
      what: `${label} has a wrong number of ${what}`,
      expected:
        min === max ? `${min}` : `${min} to ${max === Number.POSITIVE_INFINITY ? 'any' : max}`,
      found: `${given.length}`,
    });
  };
  within('inputs', node.inputs, inputs);
  within('outputs', node.outputs, outputs);
  // Where an optional input comes before a required one, blanks among the first are the operator's
  // own affair.
  if (node.domain !== '' || optionalFirst.has(node.op)) return;
  const missing = node.inputs.slice(0, inputs[0]).indexOf('');
  if (missing >= 0) {
    throw onnxError('arity', {
      what: `${label} leaves out input ${missing}`,
      expected: `at least ${inputs[0]} inputs`,
    });
  }
}

function checkOutputs(graph: OnnxGraph, path: string, scope: Scope): MaybeType[] {
  const seen = new Set<string>();
  return graph.outputs.map((output) => {
    const label = `output ${quote(output.name)} of ${path}`;
    checkValueInfo(output, label);
    if (seen.has(output.name)) throw onnxError('duplicate', { what: `${label} is listed twice` });
    seen.add(output.name);
    if (!scope.types.has(output.name)) throw undefinedOutput(output.name, label, scope);
    const type = scope.types.get(output.name);
    if (type !== undefined && output.dtype !== undefined && type !== output.dtype) {
      throw onnxError('type', {
        what: `${label} has another element type than the graph computes`,
        expected: type,
        found: output.dtype,
      });
    }
    return output.dtype ?? type;
  });
}

const undefinedOutput = (name: string, label: string, scope: Scope): AnyformerError =>
  onnxError('undefined', {
    what: `${label} is computed by no node of this graph`,
    hint: nearby(name, scope),
  });
