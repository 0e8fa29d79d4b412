// One node as its builder sees it: typed access to inputs and attributes, and refusals that name the
// node. Attributes that no builder asked for are refused too, so that none is ignored silently.
import {
  AnyformerError,
  type Dim,
  type ErrorParts,
  type NDArray,
  type Tensor,
  toNumbers,
} from '../../tensor/index.js';
import { quote } from '../limits.js';
import type { OnnxAttribute, OnnxNode } from '../model.js';
import type { Value } from './value.js';

/** What a builder returns for one output. */
export type Built = Tensor | Value;
/** Builds the outputs of one node. */
export type Builder = (node: NodeReader) => Built | readonly Built[];

export const importError = (parts: ErrorParts): AnyformerError =>
  new AnyformerError('onnx/import', parts);

export const labelOf = ({ op, name, domain, outputs }: OnnxNode): string =>
  `node ${quote(name || outputs[0] || '')} (${domain === '' ? '' : `${domain}.`}${op})`;

export class NodeReader {
  readonly node: OnnxNode;
  /** Version of the operator set that the node's domain is imported at. */
  readonly opset: number;
  readonly #values: readonly (Value | undefined)[];
  readonly #compute: (value: Value) => NDArray | undefined;
  readonly #read = new Set<string>();

  constructor(
    node: OnnxNode,
    opset: number,
    values: readonly (Value | undefined)[],
    /** Numbers of a value that depends on no input. */
    compute: (value: Value) => NDArray | undefined,
  ) {
    this.node = node;
    this.opset = opset;
    this.#values = values;
    this.#compute = compute;
  }

  refuse(parts: ErrorParts): never {
    throw importError({ ...parts, what: `${labelOf(this.node)}: ${parts.what}` });
  }

  // Inputs

  get values(): readonly (Value | undefined)[] {
    return this.#values;
  }

  optionalValue(index: number): Value | undefined {
    return this.#values[index];
  }

  value(index: number): Value {
    const value = this.#values[index];
    if (value) return value;
    return this.refuse({ what: `input ${index} is missing` });
  }

  optional(index: number): Tensor | undefined {
    return this.#values[index]?.tensor;
  }

  tensor(index: number): Tensor {
    return this.value(index).tensor;
  }

  /** All inputs from `from` on. */
  tensors(from = 0): Tensor[] {
    return this.#values.slice(from).flatMap((value) => (value ? [value.tensor] : []));
  }

  /** The numbers of an input, where they do not depend on what the model is fed. */
  knownArray(index: number): NDArray | undefined {
    const value = this.#values[index];
    return value && (value.array ?? this.#compute(value));
  }

  array(index: number): NDArray {
    const array = this.knownArray(index);
    if (array) return array;
    const value = this.value(index);
    return this.refuse({
      what: `input ${index} (${quote(this.node.inputs[index])}) must be known when the model is imported`,
      expected: 'a constant, a weight, or what is computed from these alone',
      found: value.symbolic ? `sizes: ${value.known?.items.join(', ')}` : `${value.tensor}`,
      hint: 'fix the inputs that it depends on: options.inputs, or options.sizes for symbolic sizes',
    });
  }

  numbers(index: number): number[] {
    return Array.from(toNumbers(this.array(index)));
  }

  number(index: number): number {
    const numbers = this.numbers(index);
    if (numbers.length === 1) return numbers[0];
    return this.refuse({
      what: `input ${index} must hold one number`,
      expected: '1 element',
      found: `${numbers.length}`,
    });
  }

  /** The sizes (or positions) that an input holds. */
  sizes(index: number): Dim[] {
    const known = this.value(index).known;
    return known ? [...known.items] : this.numbers(index);
  }

  // Outputs

  /** Whether anybody may read output `index`. */
  wants(index: number): boolean {
    return (this.node.outputs[index] ?? '') !== '';
  }

  // Attributes

  #attribute<K extends OnnxAttribute['kind']>(
    name: string,
    ...kinds: readonly K[]
  ): Extract<OnnxAttribute, { kind: K }> | undefined {
    this.#read.add(name);
    if (!Object.hasOwn(this.node.attributes, name)) return undefined;
    const attribute = this.node.attributes[name];
    const fits = (one: OnnxAttribute): one is Extract<OnnxAttribute, { kind: K }> =>
      kinds.some((kind) => kind === one.kind);
    if (fits(attribute)) return attribute;
    return this.refuse({
      what: `the attribute ${quote(name)} has another type`,
      expected: kinds.join(' or '),
      found: attribute.kind,
    });
  }

  has(name: string): boolean {
    return Object.hasOwn(this.node.attributes, name);
  }

  optionalInt(name: string): number | undefined {
    const found = this.#attribute(name, 'int', 'bigint');
    return found && Number(found.value);
  }

  int(name: string, absent: number): number {
    return this.optionalInt(name) ?? absent;
  }

  flag(name: string, absent = false): boolean {
    return this.int(name, absent ? 1 : 0) !== 0;
  }

  ints(name: string): number[] | undefined {
    return this.#attribute(name, 'ints', 'bigints')?.value.map(Number);
  }

  float(name: string, absent: number): number {
    return this.#attribute(name, 'float')?.value ?? absent;
  }

  floats(name: string): number[] | undefined {
    return this.#attribute(name, 'floats')?.value;
  }

  text(name: string, absent: string): string {
    return this.#attribute(name, 'string')?.value ?? absent;
  }

  tensorAttribute(name: string): NDArray | undefined {
    return this.#attribute(name, 'tensor')?.value;
  }

  /** An attribute that changes nothing here. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#read.add(name);
  }

  /** An attribute of which only one value is supported. */
  only(name: string, value: number): void {
    const found = this.int(name, value);
    if (found === value) return;
    this.refuse({
      what: `${name} = ${found} is not supported`,
      expected: `${name} = ${value}`,
      found: `${found}`,
    });
  }

  /** Integers that moved from an attribute to an input with a later opset; undefined where absent. */
  intsOrInput(name: string, index: number): number[] | undefined {
    return this.ints(name) ?? (this.optionalValue(index) ? this.numbers(index) : undefined);
  }

  checkAllRead(): void {
    const unread = Object.keys(this.node.attributes).find((name) => !this.#read.has(name));
    if (unread === undefined) return;
    this.refuse({
      what: `the attribute ${quote(unread)} is not supported`,
      expected: `only ${[...this.#read].map(quote).join(', ') || 'no attributes'}`,
      found: quote(unread),
    });
  }
}
