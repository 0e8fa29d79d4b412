// Exporters name nodes after the modules that they come from (`/layers.0/self_attn/q_proj/MatMul_1`),
// weights of matrix products by number only (`onnx::MatMul_1493`). The node's name gives the module
// path, and where a value leaves a module it is that module's output.
import type { OnnxGraph, OnnxNode } from '../model.js';

/** `layers.0.self_attn.q_proj`; '' where the name does not end in the operator or has no path. */
export function modulePath({ name, op }: OnnxNode): string {
  const parts = name.split('/').filter((part) => part !== '');
  const last = parts.pop();
  if (last === undefined || !last.startsWith(op)) return '';
  const path = parts.join('.');
  return /^\w+(?:[.\-:]\w+)*$/.test(path) ? path : '';
}

/** a.b.c, a.b, a */
const ancestry = (path: string): string[] =>
  path === ''
    ? []
    : path.split('.').map((_, i, parts) => parts.slice(0, parts.length - i).join('.'));

const contains = (outer: string, path: string): boolean =>
  path === outer || path.startsWith(`${outer}.`);

/**
 * For each value, the modules that it leaves (inner before outer): those of its node's path in which
 * some reader of it does not stand.
 */
export function moduleOutputs(
  graph: OnnxGraph,
  pathOf: (node: OnnxNode) => string,
): ReadonlyMap<string, readonly string[]> {
  const made = new Map<string, string>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) made.set(output, pathOf(node));
  }
  const left = new Map<string, Set<string>>();
  const read = (value: string, by: string) => {
    const modules = ancestry(made.get(value) ?? '').filter((module) => !contains(module, by));
    if (modules.length === 0) return;
    const known = left.get(value) ?? new Set();
    for (const module of modules) known.add(module);
    left.set(value, known);
  };
  for (const node of graph.nodes) for (const input of node.inputs) read(input, pathOf(node));
  for (const { name } of graph.outputs) read(name, '');
  return new Map(
    [...left].map(([value, modules]) => [value, [...modules].sort((a, b) => b.length - a.length)]),
  );
}
