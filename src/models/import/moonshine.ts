// Moonshine from the ONNX files that its authors publish: initializers become tensors under Hugging
// Face's names. Exporters keep the names of some weights and number the others; what is certain is the
// node that reads a weight, named after its module: `/layers.0/self_attn/q_proj/MatMul`. Matrices
// [in, out] are stored as [out, in], like every `Linear` here. The decoder's two programs (with and
// without a past) share most weights; both are read.
import { modulePath } from '../../onnx/import/module-path.js';
import { allGraphs, isExternal, type OnnxModel, type OnnxNode } from '../../onnx/model.js';
import { AnyformerError, type NDArray, ndarray } from '../../tensor/index.js';
import { memoryStore } from '../checkpoint.js';
import { createModel, declare, type Model } from '../model.js';
import { createTokenizer, type TokenizerFiles } from '../tokenizer.js';

export const MOONSHINE_TINY_CONFIG = {
  architectures: ['MoonshineForConditionalGeneration'],
  model_type: 'moonshine',
  vocab_size: 32768,
  hidden_size: 288,
  intermediate_size: 1152,
  encoder_num_hidden_layers: 6,
  decoder_num_hidden_layers: 6,
  encoder_num_attention_heads: 8,
  decoder_num_attention_heads: 8,
  encoder_hidden_act: 'gelu',
  decoder_hidden_act: 'silu',
  max_position_embeddings: 512,
  rope_theta: 10000,
  partial_rotary_factor: 0.9,
  attention_bias: false,
  tie_word_embeddings: true,
  is_encoder_decoder: true,
  bos_token_id: 1,
  eos_token_id: 2,
  decoder_start_token_id: 1,
};

export type MoonshineParts = {
  encoder: OnnxModel;
  decoder: OnnxModel;
  tokenizer?: TokenizerFiles | undefined;
  config?: object;
};

/** Errors: `models/import` where the files lack tensors, and those of the model. */
export function importMoonshine(parts: MoonshineParts): Model {
  const { encoder, decoder, tokenizer, config = MOONSHINE_TINY_CONFIG } = parts;
  const weights = new Map([
    ...weightsOf(encoder, (path) => `model.encoder.${path}`),
    ...weightsOf(decoder, (path) => path),
  ]);
  const model = createModel({
    name: 'moonshine-tiny',
    config,
    weights: memoryStore(weights),
    tokenizer: tokenizer && createTokenizer(tokenizer),
    file: 'the config of moonshine-tiny',
  });
  declare(model);
  return model;
}

/** What the last part of a module's path is called in the files, and in Hugging Face's checkpoints. */
const renamed: readonly (readonly [RegExp, string])[] = [
  [/_attn\.dense$/, '_attn.o_proj'],
  [/\.mlp\.up_proj$/, '.mlp.fc1'],
  [/\.mlp\.down_proj$/, '.mlp.fc2'],
];

/** The tensor that the input at a place of an operator is, by module: name, and its layout. */
const roles: Readonly<Record<string, readonly (string | undefined)[]>> = {
  Conv: [undefined, 'weight', 'bias'],
  MatMul: ['weight', 'weight'],
  Gather: ['weight'],
  Mul: ['weight', 'weight'],
  Add: ['bias', 'bias'],
};

/** A single number is a scale or an epsilon, of which modules have many. */
const isWeight = ({ dtype, data }: NDArray): boolean => dtype === 'f32' && data.length > 1;

function weightsOf(model: OnnxModel, nameOf: (path: string) => string): Map<string, NDArray> {
  const graphs = [...allGraphs(model.graph)];
  const stored = new Map<string, NDArray>();
  for (const { initializers } of graphs) {
    for (const [name, one] of initializers) {
      if (!isExternal(one) && isWeight(one)) stored.set(name, one);
    }
  }
  const weights = new Map<string, NDArray>();
  for (const node of graphs.flatMap(({ nodes }) => nodes)) {
    for (const [at, input] of node.inputs.entries()) {
      const array = stored.get(input);
      const role = roles[node.op]?.[at];
      const path = array && role !== undefined ? hubPath(node) : '';
      if (!array || path === '') continue;
      const name = `${nameOf(path)}.${role}`;
      if (!weights.has(name)) weights.set(name, laidOut(node, array));
    }
  }
  if (weights.size > 0) return weights;
  throw new AnyformerError('models/import', {
    what: 'the ONNX file holds no weights of named modules',
    expected: 'nodes that are called after their modules, as PyTorch exports them',
    found: `${stored.size} weights, ${graphs.reduce((sum, { nodes }) => sum + nodes.length, 0)} nodes`,
  });
}

const hubPath = (node: OnnxNode): string =>
  renamed.reduce((path, [from, to]) => path.replace(from, to), modulePath(node));

/** Matrices of products turned over; gains and biases of channels [c, 1] as [c]. */
function laidOut({ op }: OnnxNode, array: NDArray): NDArray {
  const { dtype, shape, data } = array;
  if (op === 'Mul' || op === 'Add') return ndarray(dtype, [data.length], data);
  if (op !== 'MatMul' || shape.length !== 2) return array;
  const [rows, columns] = shape;
  const turned = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) turned[k * rows + row] = Number(data[row * columns + k]);
  }
  return ndarray('f32', [columns, rows], turned);
}
