// A model whose weights are mapped from a file, rewritten so that they are in memory about once. ONNX
// Runtime repacks every matrix that is multiplied, and gives its mapping back when nothing else needs it;
// so for a while it holds the largest of them twice, and for good those that are also looked up.
import { type ExternalData, isExternal, type OnnxModel, type OnnxNode } from '../onnx/model.js';

/** Matrices are repacked in pieces of at most this size. */
const PIECE_BYTES = 2 ** 23;

/**
 * Lookups in a matrix that is multiplied too (tied embeddings) get a name of their own for the same
 * bytes, of which only the pages of the rows that are taken come into memory. Products with large
 * matrices are made of products with their parts: x [W1; W2]ᵀ = [x W1ᵀ, x W2ᵀ].
 */
export function forMapping(model: OnnxModel): OnnxModel {
  const initializers = new Map(model.graph.initializers);
  const mapped = (name: string): ExternalData | undefined => {
    const found = initializers.get(name);
    return found && isExternal(found) ? found : undefined;
  };
  const looksUp = ({ op, domain }: OnnxNode) => op === 'Gather' && domain === '';
  const others = model.graph.nodes.filter((node) => !looksUp(node));
  const multiplied = new Set(others.flatMap(({ inputs }) => inputs));

  const nodes = model.graph.nodes.flatMap((node): OnnxNode[] => {
    const [first, second] = node.inputs;
    const matrix = looksUp(node) && multiplied.has(first) ? mapped(first) : undefined;
    if (matrix) {
      const name = `rows:${first}`;
      initializers.set(name, matrix);
      return [{ ...node, inputs: [name, ...node.inputs.slice(1)] }];
    }
    const factor = isProduct(node) ? mapped(second) : undefined;
    if (!factor || factor.length <= PIECE_BYTES || factor.shape.length !== 2) return [node];
    const parts = rowsOf(factor).map((part, i): OnnxNode => {
      const name = `rows:${i}:${second}`;
      initializers.set(name, part);
      return {
        ...node,
        name: `${node.name}/${i}`,
        inputs: [first, name],
        outputs: [`${node.outputs[0]}/${i}`],
      };
    });
    const joined: OnnxNode = {
      op: 'Concat',
      domain: '',
      name: `${node.name}/rows`,
      inputs: parts.map(({ outputs }) => outputs[0]),
      outputs: node.outputs,
      attributes: { axis: { kind: 'int', value: -1 } },
    };
    return [...parts, joined];
  });
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const name of initializers.keys()) {
    // Matrices that now go by their parts alone.
    if (!used.has(name) && multiplied.has(name)) initializers.delete(name);
  }
  return { ...model, graph: { ...model.graph, nodes, initializers } };
}

/** x times a matrix that lies as [out, in]. */
const isProduct = ({ op, domain, inputs, attributes: { transB } }: OnnxNode): boolean =>
  op === 'FusedMatMul' &&
  domain === 'com.microsoft' &&
  inputs.length === 2 &&
  transB?.kind === 'int' &&
  transB.value === 1;

function rowsOf(matrix: ExternalData): ExternalData[] {
  const { length, offset, shape } = matrix;
  const [rows, columns] = shape;
  const rowBytes = length / rows;
  const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const count = Math.min(step, rows - i * step);
    return {
      ...matrix,
      shape: [count, columns],
      offset: offset + i * step * rowBytes,
      length: count * rowBytes,
    };
  });
}
