// Einstein summation by matrix products: each pair of operands becomes one batched matmul over
// [shared and kept..., left..., summed] and [..., summed, right...].
import { type Dim, mulDims, sameDim } from './dim.js';
import { reject } from './op.js';
import { located } from './path.js';
import type { Tensor } from './tensor.js';

type Operand = { x: Tensor; axes: string };

/** einsum('bqd,bkd->bqk', q, k). One letter an axis; the output side is required. */
export function einsum(pattern: string, ...tensors: readonly Tensor[]): Tensor {
  const { operands, output } = located('einsum', tensors, () => read(pattern, tensors));
  const result = operands.reduce((left, right, i) => {
    const later = operands.slice(i + 1).map(({ axes }) => axes);
    return contract(left, right, output + later.join(''));
  });
  return arrange(sumOut(result, output), output);
}

function read(
  pattern: string,
  tensors: readonly Tensor[],
): { operands: readonly Operand[]; output: string } {
  const [inputs, output, extra] = pattern.replaceAll(' ', '').split('->');
  if (
    output === undefined ||
    extra !== undefined ||
    !/^[A-Za-z,]*->[A-Za-z]*$/.test(`${inputs}->${output}`)
  ) {
    reject(`'${pattern}' is not an einsum`, 'letters, commas and one ->', pattern);
  }
  const parts = inputs.split(',');
  if (parts.length !== tensors.length) {
    reject(`'${pattern}' has ${parts.length} operands`, `${parts.length}`, `${tensors.length}`);
  }
  if (new Set(output).size !== output.length) {
    reject(`'${output}' repeats an axis`, 'each letter once in the result', output);
  }
  const operands = parts.map((axes, i) => operand(axes, tensors[i], pattern));
  const sizes = new Map<string, Dim>();
  for (const { x, axes } of operands) {
    for (const [i, axis] of [...axes].entries()) {
      const known = sizes.get(axis) ?? x.shape[i];
      sizes.set(axis, known);
      if (!sameDim(known, x.shape[i])) {
        reject(`the axis '${axis}' has two sizes`, `${known}`, `${x.shape[i]}`);
      }
    }
  }
  for (const axis of output) {
    if (!sizes.has(axis)) reject(`'${axis}' is in no operand of '${pattern}'`, inputs, output);
  }
  return { operands, output };
}

function operand(axes: string, x: Tensor, pattern: string): Operand {
  if (x.rank !== axes.length) {
    reject(`'${axes}' in '${pattern}' does not name the axes`, `rank ${axes.length}`, `${x}`);
  }
  if (new Set(axes).size !== axes.length) {
    reject(`'${axes}' repeats an axis`, 'each letter once in an operand', axes);
  }
  return { x, axes };
}

/** Sums the axes that nothing later reads. */
function sumOut({ x, axes }: Operand, kept: string): Operand {
  const gone = [...axes].flatMap((axis, i) => (kept.includes(axis) ? [] : [i]));
  if (gone.length === 0) return { x, axes };
  return { x: x.sum(gone), axes: [...axes].filter((axis) => kept.includes(axis)).join('') };
}

const arrange = ({ x, axes }: Operand, order: string): Tensor =>
  axes === order ? x : x.transpose(...[...order].map((axis) => axes.indexOf(axis)));

function contract(a: Operand, b: Operand, needed: string): Operand {
  const left = sumOut(a, needed + b.axes);
  const right = sumOut(b, needed + left.axes);
  const shared = [...left.axes].filter((axis) => right.axes.includes(axis));
  const batch = shared.filter((axis) => needed.includes(axis)).join('');
  const summed = shared.filter((axis) => !needed.includes(axis)).join('');
  const rows = [...left.axes].filter((axis) => !shared.includes(axis)).join('');
  const columns = [...right.axes].filter((axis) => !shared.includes(axis)).join('');
  const grouped = (from: Operand, groups: readonly string[]) =>
    arrange(from, batch + groups.join('')).reshape(
      ...[...batch].map((axis) => sizeOf(from, axis)),
      ...groups.map((group) =>
        [...group].map((axis) => sizeOf(from, axis)).reduce<Dim>(mulDims, 1),
      ),
    );
  const product =
    summed === ''
      ? grouped(left, [rows, '']).mul(grouped(right, ['', columns]))
      : grouped(left, [rows, summed]).matmul(
          right.axes.endsWith(summed)
            ? grouped(right, [columns, summed]).swap(-1, -2)
            : grouped(right, [summed, columns]),
        );
  const shape = [
    ...[...batch].map((axis) => sizeOf(left, axis)),
    ...[...rows].map((axis) => sizeOf(left, axis)),
    ...[...columns].map((axis) => sizeOf(right, axis)),
  ];
  return { x: product.reshape(...shape), axes: batch + rows + columns };
}

const sizeOf = ({ x, axes }: Operand, axis: string): Dim => x.shape[axes.indexOf(axis)];
