// einops patterns (Rogozhnikov 2022): 'b n (h d) -> b h n d'. Axes are named, groups in parentheses
// split or join them, 1 is an axis of size one, ... stands for any further axes.
import { type Dim, type DimLike, dim, exactDiv, mulDims } from './dim.js';
import { reject } from './op.js';
import type { Tensor } from './tensor.js';

type Pattern = readonly (readonly string[])[];

/** Reshapes and reorders axes by an einops pattern; sizes of split axes are given by name. */
export function rearrange(
  x: Tensor,
  pattern: string,
  sizes: Readonly<Record<string, DimLike>> = {},
): Tensor {
  const [left, right, extra] = pattern.split('->');
  if (left === undefined || right === undefined || extra !== undefined) {
    reject(`'${pattern}' is not a pattern`, "two sides joined by '->'", pattern);
  }
  const from = parse(left, pattern);
  const spread = from.findIndex(([name]) => name === '...');
  const others = from.length - (spread < 0 ? 0 : 1);
  const rest = x.rank - others;
  if (rest < 0 || (spread < 0 && rest !== 0)) {
    reject(`'${left.trim()}' does not name the axes of ${x}`, `${others} axes`, `${x.rank} axes`);
  }
  const ellipsis = Array.from({ length: Math.max(0, rest) }, (_, i) => [`...${i}`]);
  const expand = (side: Pattern): Pattern =>
    side.flatMap((group) => (group[0] === '...' ? ellipsis : [group]));
  const source = expand(from);
  const target = expand(parse(right, pattern));
  const size = axisSizes(x, source, sizes, pattern);
  const names = source.flat();
  const wanted = target.flat();
  const missing = [...names, ...wanted].find(
    (name) => !names.includes(name) || !wanted.includes(name),
  );
  if (missing !== undefined && missing !== '1') {
    reject(
      `'${missing}' stands on one side of '${pattern}' only`,
      'the same axes on both sides',
      missing,
    );
  }
  const real = names.filter((name) => name !== '1');
  const order = wanted.filter((name) => name !== '1').map((name) => real.indexOf(name));
  const split = reshapeTo(
    x,
    real.map((name) => size(name)),
  );
  const moved = order.every((axis, i) => axis === i) ? split : split.transpose(...order);
  return reshapeTo(
    moved,
    target.map((group) => group.map(size).reduce<Dim>(mulDims, 1)),
  );
}

const reshapeTo = (x: Tensor, shape: readonly Dim[]): Tensor =>
  shape.length === x.rank && shape.every((d, i) => String(d) === String(x.shape[i]))
    ? x
    : x.reshape(...shape);

function parse(side: string, pattern: string): Pattern {
  const tokens = side.match(/\.\.\.|[()]|\w+|\S/g) ?? [];
  const groups: string[][] = [];
  let open: string[] | undefined;
  for (const token of tokens) {
    if (token === '(' && !open) open = [];
    else if (token === ')' && open) {
      groups.push(open);
      open = undefined;
    } else if (token === '...' || /^\w+$/.test(token)) {
      if (open) open.push(token);
      else groups.push([token]);
    } else reject(`'${token}' is misplaced in '${pattern}'`, 'names, 1, ... and ( )', token);
  }
  if (open) reject(`a group is left open in '${pattern}'`, ')', 'the end');
  return groups;
}

function axisSizes(
  x: Tensor,
  source: Pattern,
  given: Readonly<Record<string, DimLike>>,
  pattern: string,
): (name: string) => Dim {
  const known = new Map<string, Dim>([['1', 1]]);
  for (const [name, value] of Object.entries(given)) known.set(name, dim(value));
  source.forEach((group, axis) => {
    const unknown = group.filter((name) => !known.has(name));
    if (unknown.length > 1) {
      reject(`'${pattern}' leaves sizes open`, `a size for ${unknown.slice(1).join(', ')}`, 'none');
    }
    const product = group.reduce<Dim>((acc, name) => mulDims(acc, known.get(name) ?? 1), 1);
    const quotient = exactDiv(x.shape[axis], product);
    if (quotient === undefined || (unknown.length === 0 && quotient !== 1)) {
      reject(
        `axis ${axis} of ${x} does not split as (${group.join(' ')})`,
        `a multiple of ${product}`,
        `${x.shape[axis]}`,
      );
    }
    if (unknown.length === 1) known.set(unknown[0], quotient);
  });
  return (name) => known.get(name) ?? 1;
}
