// The graph's inputs and their symbolic sizes. A size keeps the name that the file gives it; sums,
// products and floors of names are read as such where the names themselves are sizes of an input.
import {
  AnyformerError,
  type Dim,
  dim,
  dimNames,
  nearest,
  plainName,
  substitute,
} from '../../tensor/index.js';
import { quote } from '../limits.js';
import type { OnnxDim, ValueInfo } from '../model.js';
import { parseDim } from './dims.js';

/** Reads the sizes of `infos`; `fixed` gives numbers or names by the text that the file has for them. */
export function sizeReader(
  infos: readonly ValueInfo[],
  fixed: Readonly<Record<string, number | string>>,
): (info: ValueInfo) => Dim[] | undefined {
  const texts = new Set(
    infos.flatMap(({ shape }) => (shape ?? []).filter((d) => typeof d === 'string' && d !== '')),
  ) as Set<string>;
  const unknown = Object.keys(fixed).find((text) => !texts.has(text));
  if (unknown !== undefined) {
    throw new AnyformerError('onnx/import', {
      what: `no input has a size called ${quote(unknown)}`,
      expected: nearest(unknown, texts).map(quote).join(', ') || 'no sizes to fix',
      found: quote(unknown),
    });
  }
  const sizes = new Map(Object.entries(fixed).map(([text, size]) => [text, dim(size)]));
  const open = [...texts].filter((text) => !sizes.has(text));
  const parsed = new Map(open.map((text) => [text, parseDim(text)]));
  /** Names that a run can bind, or that are fixed. */
  const known = new Map([...sizes].filter(([text]) => plainName(parseDim(text) ?? 0) === text));
  for (const d of parsed.values()) {
    const name = d === undefined ? undefined : plainName(d);
    if (name !== undefined) known.set(name, dim(name));
  }
  const taken = new Set([...known.keys(), ...[...sizes.values()].flatMap((d) => [...dimNames(d)])]);
  const fresh = (text: string): Dim => {
    const base = `${/^[A-Za-z_]/.test(text) ? '' : 'size_'}${text.replace(/\W+/g, '_')}`;
    let name = base;
    for (let again = 2; taken.has(name); again++) name = `${base}_${again}`;
    taken.add(name);
    return dim(name);
  };
  for (const [text, found] of parsed) {
    const bound = found !== undefined && [...dimNames(found)].every((name) => known.has(name));
    sizes.set(text, bound ? substitute(found, known) : fresh(text));
  }
  const read = (d: OnnxDim, fallback: string): Dim => {
    if (typeof d === 'number') return d;
    return d === '' ? fresh(fallback) : (sizes.get(d) ?? fresh(d));
  };
  return ({ name, shape }) => shape?.map((d, axis) => read(d, `${name}_${axis}`));
}
