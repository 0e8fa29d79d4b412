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
 * For each value, the modules (inner before outer) of which it is the output: it leaves the module,
 * having a reader outside, and no later value of the module does. (What a layer returns beside its
 * result, such as keys and values, comes before the result that is computed from it.)
 */
export function moduleOutputs(
  graph: OnnxGraph,
  pathOf: (node: OnnxNode) => string,
): ReadonlyMap<string, readonly string[]> {
  const made = new Map<string, { path: string; at: number }>();
  graph.nodes.forEach((node, at) => {
    for (const output of node.outputs) made.set(output, { path: pathOf(node), at });
  });
  const last = new Map<string, { value: string; at: number }>();
  const read = (value: string, by: string) => {
    const { path, at } = made.get(value) ?? { path: '', at: -1 };
    for (const module of ancestry(path)) {
      if (contains(module, by)) continue;
      if (at >= (last.get(module)?.at ?? 0)) last.set(module, { value, at });
    }
  };
  for (const node of graph.nodes) for (const input of node.inputs) read(input, pathOf(node));
  for (const { name } of graph.outputs) read(name, '');
  const outputs = new Map<string, string[]>();
  for (const [module, { value }] of last) {
    outputs.set(value, [...(outputs.get(value) ?? []), module]);
  }
  for (const modules of outputs.values()) modules.sort((a, b) => b.length - a.length);
  return outputs;
}
