// The order in which a graph's nodes can run.
import type { Node, Tensor } from './tensor.js';

const NONE: ReadonlySet<Tensor> = new Set();

/**
 * Every node that the roots depend on, once, inputs before users: depth-first post-order, iterative
 * because models are deeper than the call stack. What only tensors of `edge` depend on is left out.
 */
export function schedule(roots: readonly Tensor[], edge: ReadonlySet<Tensor> = NONE): Node[] {
  const done = new Set<Node>();
  const order: Node[] = [];
  const stack: { node: Node; next: number }[] = [];
  for (const root of roots) {
    if (!done.has(root.node)) stack.push({ node: root.node, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top.next === 0 && done.has(top.node)) {
        stack.pop();
        continue;
      }
      const child = top.node.inputs[top.next++];
      if (child) {
        if (!done.has(child.node) && !edge.has(child)) stack.push({ node: child.node, next: 0 });
      } else {
        if (!done.has(top.node)) order.push(top.node);
        done.add(top.node);
        stack.pop();
      }
    }
  }
  return order;
}
