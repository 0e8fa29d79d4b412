// From a graph and the values of its parameters to what a runtime can load: simplified, written as
// ONNX, checked, encoded, with every big weight beside the model instead of inside it. Weights are
// named, not copied, until a session asks for them, and equal programs have equal keys.
import { sha256 } from '#platform';
import { checkModel } from '../onnx/check.js';
import { toOnnx } from '../onnx/from-graph.js';
import {
  type Initializer,
  initializerBytes,
  isExternal,
  mapInitializers,
  type OnnxModel,
} from '../onnx/model.js';
import { encodeModel } from '../onnx/write.js';
import {
  AnyformerError,
  type Bindings,
  bindShapes,
  byteLength,
  type Graph,
  graph,
  type NDArray,
  simplify,
  type TypedArray,
} from '../tensor/index.js';
import type { DeviceBuffer, FileBytes, ParameterValue } from './device.js';
import { forMapping } from './mapped.js';
import { checkUpdates } from './updates.js';

export type Prepared = {
  /** The simplified graph, whose inputs the session takes. */
  graph: Graph;
  model: Uint8Array<ArrayBuffer>;
  /** Weights that the model's external initializers name, to be handed over as memory. */
  memory: readonly { location: string; array: NDArray }[];
  /** Some value is f64. */
  double: boolean;
  /** Where files lie that are to be mapped; the model has no weights in memory then. */
  folder: string | undefined;
  /** Named sizes that the parameters' shapes tell. */
  bindings: Bindings;
  /** Parameters that stay outside, by name. */
  buffers: ReadonlyMap<string, DeviceBuffer>;
  /** Equal for programs that compute the same from the same frozen arrays. */
  key: string;
};

/** Where a file really lies, and text that changes when its contents do. */
export type PlacedFile = { folder: string; name: string; stamp: string };

export type CompileHost = {
  isBuffer(value: ParameterValue): value is DeviceBuffer;
  read(file: FileBytes): Promise<NDArray>;
  /** Absent where files cannot be mapped; undefined for a file that cannot. */
  place?(file: FileBytes): Promise<PlacedFile | undefined>;
};

/** Initializers below this stay inside the model, where shape inference can read them. */
const externalBytes = 1024;
/** Smaller file weights are read: a mapping is kept per page, and small ones fill none. */
const mappedBytes = 2 ** 16;
/** More weights in memory than this go beside the model, and then none are mapped. */
const embeddedBytes = 2 ** 26;

export async function prepare(
  original: Graph,
  parameters: ReadonlyMap<string, ParameterValue>,
  host: CompileHost,
): Promise<Prepared> {
  if (original.outputs.size + original.updates.size === 0) throw empty();
  const values = neededValues(original, parameters);
  const bindings = bindShapes(original.parameters, values);
  const simplified = simplify(original);
  checkUpdates(simplified);
  const buffers = new Map<string, DeviceBuffer>();
  const frozen = new Map<string, Initializer>();
  const stamps: string[] = [];
  let folder: string | undefined;
  const maps = host.place !== undefined && heldBytes(values, host) <= embeddedBytes;
  for (const [name, value] of values) {
    if (host.isBuffer(value)) buffers.set(name, value);
    else if (!('path' in value)) frozen.set(name, value);
    else {
      const placed = maps && value.length >= mappedBytes ? await host.place?.(value) : undefined;
      if (placed && (folder === undefined || folder === placed.folder)) {
        folder = placed.folder;
        const { dtype, shape, offset, length } = value;
        frozen.set(name, { dtype, shape, offset, length, location: placed.name });
        stamps.push(placed.stamp);
      } else frozen.set(name, await host.read(value));
    }
  }
  for (const name of simplified.updates.keys()) {
    if (!buffers.has(name)) throw frozenUpdate(name);
  }
  const whole = toOnnx(withOwnOutputNames(simplified), { frozen });
  checkModel(whole);
  const { model, memory } =
    folder === undefined ? separate(whole) : { model: forMapping(whole), memory: [] };
  // With files mapped, the runtime takes no other weights from outside: they are in the model.
  const bytes = encodeModel(model);
  const identities = memory.map(({ array }) => identity(array.data));
  const key = `${await sha256(bytes)} ${folder ?? ''} ${stamps.join()} ${identities.join()}`;
  const double = simplified.nodes.some((node) => node.outputs.some(({ dtype }) => dtype === 'f64'));
  return { graph: simplified, double, model: bytes, memory, folder, bindings, buffers, key };
}

/** A session's name of an output: ONNX has one space of names, and an input may have the same. */
export const sessionOutput = (name: string): string => `out:${name}`;

const withOwnOutputNames = (g: Graph): Graph =>
  graph(
    new Map([...g.outputs].map(([name, tensor]) => [sessionOutput(name), tensor])),
    g.updates,
    g.parameters.values(),
  );

/** The values of the graph's parameters; others are not looked at. */
function neededValues(
  needed: Graph,
  parameters: ReadonlyMap<string, ParameterValue>,
): Map<string, ParameterValue> {
  const values = new Map<string, ParameterValue>();
  for (const [name, tensor] of needed.parameters) {
    const value = parameters.get(name);
    if (!value) {
      throw new AnyformerError('compile/parameter', {
        what: `the parameter '${name}' has no value`,
        expected: String(tensor),
        found: `values for ${parameters.size} other names`,
        hint: 'pass every parameter of the graph in `parameters`: an array, bytes of a file or a buffer',
      });
    }
    values.set(name, value);
  }
  return values;
}

const heldBytes = (values: ReadonlyMap<string, ParameterValue>, host: CompileHost): number =>
  [...values.values()].reduce(
    (sum, value) => (host.isBuffer(value) || 'path' in value ? sum : sum + byteLength(value)),
    0,
  );

const empty = () =>
  new AnyformerError('compile/empty', {
    what: 'the graph computes nothing',
    expected: 'at least one output or update',
    found: 'none',
  });

const frozenUpdate = (name: string) =>
  new AnyformerError('compile/parameter', {
    what: `the graph updates the parameter '${name}', which would be frozen into the program`,
    expected: 'a buffer of the device',
    found: 'an array or a file',
    hint: 'place it on the device first: parameters.set(name, await device.put(array))',
  });

/** Names big initializers as external data; arrays that share their memory are handed over once. */
function separate(model: OnnxModel) {
  const memory: { location: string; array: NDArray }[] = [];
  const known = new Map<TypedArray, string>();
  const move = (initializer: Initializer): Initializer => {
    if (isExternal(initializer) || initializerBytes(initializer) < externalBytes) {
      return initializer;
    }
    const { dtype, shape, data } = initializer;
    const location = known.get(data) ?? `w${memory.length}`;
    if (!known.has(data)) memory.push({ location, array: initializer });
    known.set(data, location);
    return { dtype, shape, location, offset: 0, length: data.byteLength };
  };
  return { model: mapInitializers(model, move), memory };
}

const identities = new WeakMap<TypedArray, number>();
let nextIdentity = 0;

function identity(data: TypedArray): number {
  const known = identities.get(data) ?? nextIdentity++;
  identities.set(data, known);
  return known;
}
