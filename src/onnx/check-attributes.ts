// What a node's attributes must be like for the operators where a wrong one would be dangerous or
// baffling: graphs only where an operator runs them and with matching counts, permutations, axes,
// element types. Attribute names that an operator does not have are left to the runtime.
import { elementTypeName } from './element-type.js';
import { onnxError, quote } from './limits.js';
import type { OnnxAttribute, OnnxGraph, OnnxNode } from './model.js';

// The graphs that control flow operators need.
const graphsOf: Readonly<Record<string, readonly string[]>> = {
  If: ['then_branch', 'else_branch'],
  Loop: ['body'],
  Scan: ['body'],
  SequenceMap: ['body'],
};

const intAttributes = new Set(['axis', 'keepdims', 'transA', 'transB', 'num_heads', 'to']);

export function checkAttributes(node: OnnxNode, label: string): void {
  const needed = node.domain === '' && Object.hasOwn(graphsOf, node.op) ? graphsOf[node.op] : [];
  for (const [name, attribute] of Object.entries(node.attributes)) {
    if (name === '')
      throw onnxError('attribute', { what: `${label} has an attribute with no name` });
    if (attribute.kind === 'graph' && !needed.includes(name)) {
      throw onnxError('attribute', {
        what: `${label} holds a graph in ${quote(name)}, which it would not run`,
      });
    }
    if (intAttributes.has(name)) checkInteger(name, attribute, label);
  }
  for (const name of needed) {
    const attribute = Object.hasOwn(node.attributes, name) ? node.attributes[name] : undefined;
    if (attribute?.kind !== 'graph') {
      throw onnxError('attribute', { what: `${label} needs a graph in the attribute ${name}` });
    }
    checkBodyCounts(node, name, attribute.value, label);
  }
  if (node.domain !== '') return;
  if (node.op === 'Constant') checkConstant(node, label);
  if (node.op === 'Transpose') checkPermutation(node.attributes.perm, label);
  if (node.op === 'Cast') checkCast(node.attributes.to, label);
}

function checkInteger(name: string, attribute: OnnxAttribute, label: string): void {
  // Opset 1's Cast spelt its target as a string.
  if (attribute.kind === 'int' || (name === 'to' && attribute.kind === 'string')) return;
  throw onnxError('attribute', {
    what: `${label} has a wrong attribute ${name}`,
    expected: 'an integer',
    found: attribute.kind,
  });
}

function checkBodyCounts(node: OnnxNode, name: string, body: OnnxGraph, label: string): void {
  const count = (what: string, expected: number, found: number) => {
    if (expected === found) return;
    throw onnxError('arity', {
      what: `${label}: the graph ${name} has a wrong number of ${what}`,
      expected: `${expected}`,
      found: `${found}`,
    });
  };
  if (node.op === 'If') {
    count('inputs', 0, body.inputs.length);
    count('outputs', node.outputs.length, body.outputs.length);
  }
  if (node.op === 'Loop') {
    count('inputs', node.inputs.length, body.inputs.length);
    // The body also says whether to go on, which is no output of the loop.
    count('outputs', node.outputs.length + 1, body.outputs.length);
  }
}

function checkConstant(node: OnnxNode, label: string): void {
  const names = Object.keys(node.attributes);
  if (names.length === 1 && /^value(?:_|$)/.test(names[0])) return;
  throw onnxError('attribute', {
    what: `${label} must hold one value`,
    expected: 'one attribute: value, value_float, value_ints, ...',
    found: names.slice(0, 5).map(quote).join(', ') || 'none',
  });
}

function checkPermutation(perm: OnnxAttribute | undefined, label: string): void {
  if (perm === undefined) return;
  const values = perm.kind === 'ints' ? perm.value : [];
  const complete =
    values.length > 0 && values.length <= 64 && values.every((_, axis) => values.includes(axis));
  // An empty list is how some exporters write the permutation of a scalar.
  if (complete || (perm.kind === 'ints' && values.length === 0)) return;
  throw onnxError('attribute', {
    what: `${label}: perm is not a permutation`,
    expected: 'every axis once',
    found: perm.kind === 'ints' ? `[${values.slice(0, 32).join(', ')}]` : perm.kind,
  });
}

function checkCast(to: OnnxAttribute | undefined, label: string): void {
  if (to?.kind === 'string') return;
  if (to?.kind === 'int' && elementTypeName(to.value) !== undefined) return;
  throw onnxError('attribute', {
    what: `${label} names no element type to cast to`,
    expected: 'a TensorProto.DataType in the attribute to',
    found: to?.kind === 'int' ? `${to.value}` : (to?.kind ?? 'none'),
  });
}
