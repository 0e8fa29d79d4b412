// einops patterns (Rogozhnikov 2022): 'b n (h d) -> b h n d'. Axes are named, groups in parentheses
// split or join them, 1 is an axis of size one, ... stands for any further axes.
import { type Dim, type DimLike, dim, exactDiv, mulDims, type Shape, sameShape } from './dim.js';
import { reject } from './op.js';
import { located } from './path.js';
import type { Tensor } from './tensor.js';

/** A side of a pattern: one group of names for each axis; '...' stands for any further axes. */
type Pattern = readonly (readonly string[] | '...')[];

/**
 * Reshapes and reorders axes by an einops pattern; sizes of split axes are given by name. On the
 * right, ... may stand in a group: 'b ... d -> (b ...) d'.
 */
export function rearrange(
  x: Tensor,
  pattern: string,
  sizes: Readonly<Record<string, DimLike>> = {},
): Tensor {
  const plan = located('rearrange', [x], () => plannedBy(x, pattern, sizes));
  const split = reshapeTo(x, plan.split);
  const inOrder = plan.order.every((axis, i) => axis === i);
  return reshapeTo(inOrder ? split : split.transpose(...plan.order), plan.joined);
}

const reshapeTo = (x: Tensor, shape: Shape): Tensor =>
  sameShape(shape, x.shape) ? x : x.reshape(...shape);

/** Sizes after splitting every axis, the order of these parts, and sizes after joining them. */
type Plan = { split: Shape; order: readonly number[]; joined: Shape };

function plannedBy(x: Tensor, pattern: string, sizes: Readonly<Record<string, DimLike>>): Plan {
  const [left, right, extra] = pattern.split('->');
  if (left === undefined || right === undefined || extra !== undefined) {
    reject(`'${pattern}' is not a pattern`, "two sides joined by '->'", pattern);
  }
  const from = parse(left, pattern);
  if (from.some((group) => group !== '...' && group.includes('...'))) {
    reject(`'...' cannot be split in '${pattern}'`, '... outside ( ) on the left', left.trim());
  }
  const spread = from.includes('...');
  const others = from.filter((group) => group !== '...').length;
  const rest = x.rank - others;
  if (rest < 0 || (!spread && rest !== 0)) {
    const expected = `${others}${spread ? ' or more' : ''} axes`;
    reject(`'${left.trim()}' does not name the axes of ${x}`, expected, `${x.rank} axes`);
  }
  const ellipsis = Array.from({ length: rest }, (_, i) => `...${i}`);
  const source = spreadOut(from, ellipsis);
  const target = spreadOut(parse(right, pattern), ellipsis);
  const named = (side: readonly (readonly string[])[]) =>
    side.flat().filter((name) => name !== '1');
  const [names, wanted] = [named(source), named(target)];
  checkNames(names, wanted, Object.keys(sizes), pattern);
  const size = axisSizes(x, source, sizes, pattern);
  return {
    split: names.map(size),
    order: wanted.map((name) => names.indexOf(name)),
    joined: target.map((group) => group.map(size).reduce<Dim>(mulDims, 1)),
  };
}

const spreadOut = (side: Pattern, ellipsis: readonly string[]): (readonly string[])[] =>
  side.flatMap((group) =>
    group === '...'
      ? ellipsis.map((name) => [name])
      : [group.flatMap((name) => (name === '...' ? ellipsis : [name]))],
  );

function checkNames(
  names: readonly string[],
  wanted: readonly string[],
  given: readonly string[],
  pattern: string,
): void {
  for (const side of [names, wanted]) {
    const twice = side.find((name, i) => side.indexOf(name) !== i);
    if (twice !== undefined) {
      reject(`'${twice}' stands twice on one side of '${pattern}'`, 'each axis once', twice);
    }
  }
  const missing = [...names, ...wanted].find(
    (name) => !names.includes(name) || !wanted.includes(name),
  );
  if (missing !== undefined) {
    const shown = missing.startsWith('...') ? '...' : missing;
    reject(`'${shown}' stands on one side of '${pattern}' only`, 'the same axes on both', shown);
  }
  const unknown = given.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    reject(`a size is given for '${unknown}', which '${pattern}' lacks`, names.join(' '), unknown);
  }
}

function parse(side: string, pattern: string): Pattern {
  const tokens = side.match(/\.\.\.|[()]|\w+|\S/g) ?? [];
  const groups: (string[] | '...')[] = [];
  let open: string[] | undefined;
  for (const token of tokens) {
    if (token === '(' && !open) open = [];
    else if (token === ')' && open) {
      groups.push(open);
      open = undefined;
    } else if (/^(\.\.\.|1|[A-Za-z_]\w*)$/.test(token)) {
      if (open) open.push(token);
      else groups.push(token === '...' ? token : [token]);
    } else reject(`'${token}' is misplaced in '${pattern}'`, 'names, 1, ... and ( )', token);
  }
  if (open) reject(`a group is left open in '${pattern}'`, ')', 'the end');
  return groups;
}

function axisSizes(
  x: Tensor,
  source: readonly (readonly string[])[],
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
