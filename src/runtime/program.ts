// A compiled program: checks what goes in, says where each output goes, and hands the run to the
// worker.

import { nextOutput, parameterInput } from '../onnx/from-graph.js';
import {
  AnyformerError,
  type Bindings,
  bindShapes,
  evaluateShape,
  type Graph,
  type NDArray,
  ndarray,
  nearest,
  showShape,
} from '../tensor/index.js';
import { checkMemory, checkType, disposed } from './checks.js';
import { sessionOutput } from './compile.js';
import type { DeviceBuffer, Feeds, Program, RowTarget, RunOptions } from './device.js';
import { nativeError } from './native-error.js';
import {
  type Feed,
  type Id,
  moveOut,
  type OutputPlan,
  type Request,
  type Value,
} from './protocol.js';
import { rowsFit } from './rows.js';

export type ProgramParts = {
  /** As it was given, for shapes and names. */
  graph: Graph;
  /** As it was compiled: the inputs that the session takes. */
  simplified: Graph;
  buffers: ReadonlyMap<string, DeviceBuffer>;
  /** Named sizes that the parameters' shapes tell. */
  bindings: Bindings;
  session: Id;
  request(request: Request, transfer: Iterable<ArrayBuffer>, signal?: AbortSignal): Promise<Value>;
  /** The worker's name of a live buffer of this device; `label` is text for the error. */
  bufferId(buffer: DeviceBuffer, label: string): Id;
  release(): Promise<void>;
};

export function openProgram(parts: ProgramParts): Program {
  const { graph, simplified, buffers } = parts;
  const updated = new Map([...graph.updates.keys()].map((name) => [buffers.get(name), name]));
  checkSharing(buffers, updated);
  let live = true;

  async function run(
    feeds: Feeds = {},
    options: RunOptions = {},
  ): Promise<Record<string, NDArray>> {
    const { into = {}, signal } = options;
    if (!live) throw disposed('the program');
    signal?.throwIfAborted();
    const given = new Map(Object.entries(feeds));
    const bindings = bindShapes(graph.inputs, given, parts.bindings);
    const outputs = planOutputs(bindings, into);
    const transfer = new Set<ArrayBuffer>();
    const fed = feedAll(given, transfer);
    const request: Request = { kind: 'run', session: parts.session, feeds: fed, outputs };
    try {
      const results = await parts.request(request, transfer, signal);
      const returned: Record<string, NDArray> = {};
      for (const name of graph.outputs.keys()) {
        const result = results[sessionOutput(name)];
        if (result) returned[name] = ndarray(result.dtype, result.shape, result.data);
      }
      return returned;
    } catch (error) {
      throw nativeError(error, 'runtime/run');
    }
  }

  /** Everything is checked before the first array moves. */
  function feedAll(given: ReadonlyMap<string, NDArray | DeviceBuffer>, transfer: Set<ArrayBuffer>) {
    const fed: Record<string, Feed> = {};
    for (const [name, value] of given) {
      if ('device' in value) {
        fed[name] = { buffer: parts.bufferId(value, `the input '${name}'`) };
        const parameter = updated.get(value);
        if (parameter !== undefined) throw shared(parameter, `the input '${name}'`);
      } else checkMemory(`the input '${name}'`, value);
    }
    for (const name of simplified.parameters.keys()) {
      const buffer = buffers.get(name);
      if (!buffer) continue;
      fed[parameterInput(name)] = { buffer: parts.bufferId(buffer, `the parameter '${name}'`) };
    }
    for (const [name, value] of given) {
      if (!('device' in value)) fed[name] = moveOut(value, transfer);
      // An input that the simplified graph no longer needs.
      if (!simplified.inputs.has(name)) delete fed[name];
    }
    return fed;
  }

  function planOutputs(bindings: Bindings, into: NonNullable<RunOptions['into']>): OutputPlan[] {
    for (const name of Object.keys(into)) {
      if (graph.outputs.has(name)) continue;
      throw new AnyformerError('runtime/output', {
        what: `the graph has no output '${name}'`,
        expected: nearest(name, graph.outputs.keys()).join(', ') || 'no outputs',
        found: name,
      });
    }
    const written = new Set<DeviceBuffer>();
    const outputs = [...graph.outputs].map(([name, tensor]): OutputPlan => {
      const type = { dtype: tensor.dtype, shape: evaluateShape(tensor.shape, bindings) };
      const to = Object.hasOwn(into, name) ? into[name] : undefined;
      const where = to ? place(name, type, to, written) : ({ kind: 'caller' } as const);
      return { name: sessionOutput(name), ...type, to: where };
    });
    for (const [name, tensor] of graph.updates) {
      const buffer = buffers.get(name);
      if (!buffer) continue;
      const id = parts.bufferId(buffer, `the parameter '${name}'`);
      outputs.push({
        name: nextOutput(name),
        dtype: tensor.dtype,
        shape: buffer.shape,
        to: { kind: 'buffer', buffer: id, inPlace: true },
      });
    }
    return outputs;
  }

  function place(
    name: string,
    type: { dtype: NDArray['dtype']; shape: readonly number[] },
    to: DeviceBuffer | RowTarget,
    written: Set<DeviceBuffer>,
  ): OutputPlan['to'] {
    const label = `the output '${name}'`;
    const buffer = 'device' in to ? to : to.buffer;
    const id = parts.bufferId(buffer, `the target of ${label}`);
    const parameter = updated.get(buffer);
    if (parameter !== undefined) throw shared(parameter, label);
    if ('device' in to) {
      if (written.has(buffer)) throw shared(undefined, label);
      written.add(buffer);
      checkType(label, type, buffer);
      return { kind: 'buffer', buffer: id, inPlace: false };
    }
    const { axis, start } = to;
    if (type.dtype !== buffer.dtype || !rowsFit(buffer.shape, type.shape, axis, start)) {
      throw new AnyformerError('runtime/shape', {
        what: `${label} does not fit as rows of the buffer`,
        expected: `rows of ${buffer.dtype}${showShape(buffer.shape)} along axis ${axis}`,
        found: `${type.dtype}${showShape(type.shape)} from ${start}`,
      });
    }
    return { kind: 'rows', buffer: id, axis, start };
  }

  async function dispose(): Promise<void> {
    if (!live) return;
    live = false;
    await parts.release();
  }

  return { graph, run, dispose, [Symbol.asyncDispose]: dispose };
}

/** A buffer that is written in place has one name only in the program. */
function checkSharing(
  buffers: ReadonlyMap<string, DeviceBuffer>,
  updated: ReadonlyMap<DeviceBuffer | undefined, string>,
): void {
  for (const [name, buffer] of buffers) {
    const parameter = updated.get(buffer);
    if (parameter !== undefined && parameter !== name) {
      throw shared(parameter, `the parameter '${name}'`);
    }
  }
}

const shared = (parameter: string | undefined, other: string): AnyformerError =>
  new AnyformerError('runtime/alias', {
    what:
      parameter === undefined
        ? `${other} is written to a buffer that another output fills`
        : `the buffer of '${parameter}', which is updated in place, is also used by ${other}`,
    expected: 'a buffer of its own',
    hint: 'allocate a second buffer',
  });
