// TinyStories models in the version 1 file of llama2.ts: a header of 256 bytes, the vocabulary with
// scores, float32 matrices of which each kind is stored for all layers at once. What comes out is a
// `llama` model under Hugging Face's names, with its tokenizer. Tied heads only.
import { AnyformerError, type NDArray, ndarray, viewAs } from '../../tensor/index.js';
import { memoryStore } from '../checkpoint.js';
import { createModel, type Model } from '../model.js';
import { createTokenizer } from '../tokenizer.js';
import { byteCursor } from './byte-cursor.js';
import { type Piece, sentencePieceFiles } from './sentencepiece-bpe.js';

const HEADER_BYTES = 256;
/** More of anything than this is no model of this kind; it also bounds what a lying header costs. */
const MOST = 2 ** 24;

type Sizes = {
  hidden: number;
  inter: number;
  context: number;
  vocab: number;
  layers: number;
  heads: number;
  kvHeads: number;
};

/** Reads the file's bytes. Errors: `tinystories/format`, `tinystories/size`, `models/tokenizer`. */
export function importTinyStories(bytes: Uint8Array<ArrayBuffer>, file = 'model.bin'): Model {
  const cursor = byteCursor(bytes, file);
  const sizes = readHeader(bytes, file);
  cursor.skip(HEADER_BYTES, 'the header');
  const pieces: Piece[] = [];
  for (let id = 0; id < sizes.vocab; id++) {
    const part = `piece ${id} of the vocabulary`;
    const score = cursor.f32(part);
    pieces.push({ text: cursor.text(cursor.i32(part), part), score });
  }
  const weights = readWeights(bytes.subarray(cursor.at), sizes, file);
  return createModel({
    name: 'tinystories',
    config: {
      model_type: 'llama',
      vocab_size: sizes.vocab,
      hidden_size: sizes.hidden,
      intermediate_size: sizes.inter,
      num_hidden_layers: sizes.layers,
      num_attention_heads: sizes.heads,
      num_key_value_heads: sizes.kvHeads,
      max_position_embeddings: sizes.context,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: true,
      bos_token_id: 1,
      // Stories were joined by the token that begins one: it also ends the one before.
      eos_token_id: [1, 2],
    },
    weights: memoryStore(weights),
    tokenizer: createTokenizer(sentencePieceFiles(pieces, file), file),
    file,
  });
}

function readHeader(bytes: Uint8Array<ArrayBuffer>, file: string): Sizes {
  const cursor = byteCursor(bytes, file);
  const version = cursor.u8('the header');
  if (version !== 1) throw wrongFormat(file, `version ${version}`);
  const length = cursor.i32('the header');
  const type = length === 5 ? cursor.text(5, 'the header') : `a name of ${length} bytes`;
  if (type !== 'llama') throw wrongFormat(file, JSON.stringify(type));
  const size = (name: string): number => {
    const value = cursor.i32('the header');
    if (value > 0 && value <= MOST) return value;
    throw wrongFormat(file, `${name} ${value}`);
  };
  const sizes: Sizes = {
    hidden: size('hidden size'),
    inter: size('intermediate size'),
    context: size('context'),
    vocab: size('vocabulary'),
    layers: size('layers'),
    heads: size('heads'),
    kvHeads: size('key-value heads'),
  };
  const { hidden, heads, kvHeads } = sizes;
  if (hidden % heads !== 0 || (hidden / heads) % 2 !== 0 || heads % kvHeads !== 0) {
    throw wrongFormat(file, `width ${hidden}, ${heads} heads, ${kvHeads} key-value heads`);
  }
  if (cursor.u8('the header') !== 1) throw wrongFormat(file, 'a head that is not tied');
  return sizes;
}

function wrongFormat(file: string, found: string): AnyformerError {
  return new AnyformerError('tinystories/format', {
    what: `${file} is not a model file that is read here`,
    expected: "version 1 of llama2.ts's format, type 'llama', sizes that fit together, a tied head",
    found,
  });
}

function readWeights(
  bytes: Uint8Array<ArrayBuffer>,
  sizes: Sizes,
  file: string,
): Map<string, NDArray> {
  const { hidden, inter, vocab, layers, heads, kvHeads } = sizes;
  const kv = (hidden / heads) * kvHeads;
  // In the file's order; `heads` where rows of rotated pairs are put into halves.
  const perLayer: { name: string; shape: number[]; heads?: number }[] = [
    { name: 'input_layernorm', shape: [hidden] },
    { name: 'self_attn.q_proj', shape: [hidden, hidden], heads },
    { name: 'self_attn.k_proj', shape: [kv, hidden], heads: kvHeads },
    { name: 'self_attn.v_proj', shape: [kv, hidden] },
    { name: 'self_attn.o_proj', shape: [hidden, hidden] },
    { name: 'post_attention_layernorm', shape: [hidden] },
    { name: 'mlp.gate_proj', shape: [inter, hidden] },
    { name: 'mlp.up_proj', shape: [inter, hidden] },
    { name: 'mlp.down_proj', shape: [hidden, inter] },
  ];
  const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const inLayers = layers * perLayer.reduce((sum, { shape }) => sum + count(shape), 0);
  const expected = 4 * (vocab * hidden + inLayers + hidden);
  if (expected !== bytes.byteLength) {
    throw new AnyformerError('tinystories/size', {
      what: `${file} does not hold the weights that its header announces`,
      expected: `${expected} bytes after the vocabulary`,
      found: `${bytes.byteLength} bytes`,
      hint: 'fetch the file again',
    });
  }
  const weights = new Map<string, NDArray>();
  let at = 0;
  const take = (shape: readonly number[]): NDArray => {
    const start = at;
    at += 4 * count(shape);
    return ndarray('f32', shape, viewAs('f32', new Uint8Array(bytes.subarray(start, at))));
  };
  weights.set('model.embed_tokens.weight', take([vocab, hidden]));
  for (const { name, shape, heads: rotating } of perLayer) {
    for (let i = 0; i < layers; i++) {
      const matrix = take(shape);
      const stored = rotating === undefined ? matrix : pairsToHalves(matrix, rotating);
      weights.set(`model.layers.${i}.${name}.weight`, stored);
    }
  }
  weights.set('model.norm.weight', take([hidden]));
  return weights;
}

/**
 * Reorders the output rows of a projection [heads * d, in] made for rotations of neighbours (2i with
 * 2i + 1) for rotations of halves (i with i + d/2): in each head, row 2i goes to i, row 2i + 1 to
 * i + d/2. Queries and keys are reordered alike, so their products stay.
 */
export function pairsToHalves(matrix: NDArray, heads: number): NDArray {
  const [rows, columns] = matrix.shape;
  const d = rows / heads;
  const source = matrix.data as Float32Array;
  const data = new Float32Array(source.length);
  for (let row = 0; row < rows; row++) {
    const within = row % d;
    const to = row - within + (within % 2) * (d / 2) + Math.floor(within / 2);
    data.set(source.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return ndarray('f32', matrix.shape, data);
}
