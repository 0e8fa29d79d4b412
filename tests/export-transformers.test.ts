// Exported ONNX folders in transformers.js itself, loaded as they are: the same tokens, greedy ids and
// vectors as here, with its cache, in batches, and in fewer bits under its own names.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { byteTokenizer, vocabularySize } from '../src/data/byte-level.js';
import { generate, openDecoder, transcribe } from '../src/decode/index.js';
import { openEncoder } from '../src/models/encoder.js';
import type { OnnxDtype } from '../src/models/export-config.js';
import { cachedModelTypes } from '../src/models/export-decoder.js';
import { type ExportOptions, exportOnnx } from '../src/models/export-onnx.js';
import { loadModelFolder } from '../src/models/folder.js';
import { loadMoonshinePackage } from '../src/models/import/moonshine-package.js';
import { importTinyStories } from '../src/models/import/tinystories.js';
import { loadUseLitePackage } from '../src/models/import/use-lite.js';
import type { Model } from '../src/models/model.js';
import type { QualityRecord } from '../src/models/quality.js';
import { createTokenizer, type TextTokenizer } from '../src/models/tokenizer.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { readFixture } from './support/golden.js';
import { loudModel } from './support/loud.js';
import { transformersJs } from './support/peers.js';
import { sampleTexts } from './support/small-models.js';
import { jfk } from './support/speech.js';
import { hasTinyStories, tinyStoriesBytes, whereTinyStories } from './support/tinystories-file.js';

type Numbers = { data: ArrayLike<number | bigint>; dims: number[] };
type Inputs = { input_ids: Numbers; attention_mask: Numbers };
type Loader<T> = {
  from_pretrained(name: string, options?: { dtype?: string; device?: string }): Promise<T>;
};
type Running = { dispose(): Promise<unknown> };
type Library = {
  env: { allowRemoteModels: boolean; localModelPath: string };
  AutoTokenizer: Loader<
    ((texts: string | string[], options?: { padding?: boolean }) => Inputs) & {
      padding_side: string;
      pad_token_id: number;
    }
  >;
  AutoModelForCausalLM: Loader<
    Running & { generate(options: object): Promise<Numbers>; config: { eos_token_id: unknown } }
  >;
  AutoModel: Loader<Running & ((inputs: Inputs) => Promise<Record<string, Numbers>>)>;
  pipeline(
    task: 'feature-extraction',
    name: string,
    options?: object,
  ): Promise<Running & ((texts: string[], options: object) => Promise<Numbers>)>;
};

/** Numbers of no meaning: a compressed model is not written without a record. */
const quality: QualityRecord = {
  data: { name: 'none', examples: 0, sha256: '' },
  original: 'small',
  metrics: {},
  measuredBy: { version: '0', device: 'cpu', threads: 1 },
};

/** Closes the files of a model that has some. */
async function closed(model: Model & Partial<AsyncDisposable>): Promise<void> {
  await model[Symbol.asyncDispose]?.();
}

const moonshineIsHere =
  (await jfk()) !== undefined &&
  (await loadMoonshinePackage().then(
    async (model) => {
      await closed(model);
      return true;
    },
    () => false,
  ));

describe.skipIf(!transformersJs.here)(transformersJs.title, () => {
  let library: Library;
  let device: Device;
  let place: string;
  beforeAll(async () => {
    library = await transformersJs.load<Library>();
    device = await cpuDevice({ threads: 1 });
    place = await mkdtemp(join(tmpdir(), 'transformers-'));
    library.env.allowRemoteModels = false;
    library.env.localModelPath = place;
  });
  afterAll(async () => {
    await device?.dispose();
    await rm(place, { recursive: true });
  });

  let count = 0;
  async function exported(model: Model, options: ExportOptions = {}): Promise<string> {
    const name = `model-${count++}`;
    await exportOnnx(model, join(place, name), options);
    return name;
  }

  const longs = (rows: readonly (readonly number[])[]): Numbers => {
    const { Tensor } = library as unknown as {
      Tensor: new (type: string, data: BigInt64Array, dims: number[]) => Numbers;
    };
    const data = BigInt64Array.from(rows.flat().map(BigInt));
    return new Tensor('int64', data, [rows.length, rows[0].length]);
  };

  /** Greedy ids of its own generation. */
  async function theirs(
    name: string,
    prompt: readonly number[],
    length: number,
    options: { dtype?: string } = {},
  ): Promise<number[]> {
    const model = await library.AutoModelForCausalLM.from_pretrained(name, options);
    try {
      const input_ids = longs([prompt]);
      const attention_mask = longs([prompt.map(() => 1)]);
      const all = await model.generate({
        input_ids,
        attention_mask,
        max_new_tokens: length,
        do_sample: false,
      });
      return Array.from(all.data, Number).slice(prompt.length);
    } finally {
      await model.dispose();
    }
  }

  async function ours(model: Model, prompt: readonly number[], length: number): Promise<number[]> {
    const ids: number[] = [];
    for await (const { id } of generate(model, prompt, { maxNewTokens: length, device }))
      ids.push(id);
    return ids;
  }

  const compressed = async (model: Model, chain: string): Promise<Model> => ({
    ...(await applyChain(model, parseChain(chain), { device })),
    quality,
  });

  describe.skipIf(!hasTinyStories)(whereTinyStories, () => {
    const model = (): Model => importTinyStories(tinyStoriesBytes());
    const prompt = [1, 403, 407, 261, 378];

    it('tells the same story, 200 ids, and cuts texts into the same tokens', async () => {
      const stories = model();
      const name = await exported(stories);
      expect(await theirs(name, prompt, 200)).toEqual(await ours(stories, prompt, 200));
      const tokenizer = await library.AutoTokenizer.from_pretrained(name);
      for (const text of ['Once upon a time, Lily  saw\n é 日本 a cat.', ' Tim', '']) {
        const { input_ids } = tokenizer(text);
        expect(Array.from(input_ids.data, Number), text).toEqual(stories.tokenizer?.encode(text));
      }
      // Weights are in the graph alone: the folder is for other programs.
      await expect(loadModelFolder(join(place, name))).rejects.toMatchObject({
        code: 'checkpoint/no-weights',
      });
    });

    it('a batch, shorter texts padded on the left, as each alone', async () => {
      const stories = model();
      const name = await exported(stories);
      const prompts = [
        [1, 403, 407, 261, 378],
        [1, 410],
        [1, 403, 407],
      ];
      const longest = 5;
      const pad = (row: number[], by: number) => [
        ...new Array(longest - row.length).fill(by),
        ...row,
      ];
      const running = await library.AutoModelForCausalLM.from_pretrained(name);
      const all = await running.generate({
        input_ids: longs(prompts.map((row) => pad(row, 0))),
        attention_mask: longs(
          prompts.map((row) =>
            pad(
              row.map(() => 1),
              0,
            ),
          ),
        ),
        max_new_tokens: 40,
        do_sample: false,
      });
      await running.dispose();
      for (const [i, row] of prompts.entries()) {
        const made = Array.from(all.data, Number).slice(i * all.dims[1], (i + 1) * all.dims[1]);
        expect(made.slice(longest, longest + 40)).toEqual(await ours(stories, row, 40));
      }
    });

    it.each<[OnnxDtype, string, string]>([
      ['q8', 'int8:block=64', 'model_quantized.onnx'],
      ['int8', 'int8:block=channel', 'model_int8.onnx'],
      ['q4', 'four-bit:element=int4,group=32', 'model_q4.onnx'],
    ])('dtype %s', async (dtype, chain, file) => {
      const stories = model();
      const small = await compressed(stories, chain);
      const name = await exported(stories, { variants: new Map([[dtype, small]]) });
      expect(await readdir(join(place, name, 'onnx'))).toEqual(['model.onnx', file].sort());
      expect(await readdir(join(place, name))).toContain(`quality_${dtype}.json`);
      expect(await theirs(name, prompt, 60, { dtype })).toEqual(await ours(small, prompt, 60));
      expect(await theirs(name, prompt, 20)).toEqual(await ours(stories, prompt, 20));
    });

    it('weights beside the graph', async () => {
      const stories = model();
      const name = await exported(stories, { inlineBytes: 1000 });
      expect(await readdir(join(place, name, 'onnx'))).toEqual(['model.onnx', 'model.onnx_data']);
      expect(await theirs(name, prompt, 20)).toEqual(await ours(stories, prompt, 20));
    });
  });

  it('our own language model, 64 ids', async () => {
    await using model = await loadModelFolder(
      fileURLToPath(new URL('../models/speeches-5m', import.meta.url)),
    );
    const name = await exported(model);
    const text = 'Fellow citizens of the Senate';
    const tokenizer = await library.AutoTokenizer.from_pretrained(name);
    const prompt = model.tokenizer?.encode(text) ?? [];
    expect(Array.from(tokenizer(text).input_ids.data, Number)).toEqual(prompt);
    expect(await theirs(name, prompt, 64)).toEqual(await ours(model, prompt, 64));
  });

  describe('decoders of every family it knows', () => {
    const prompt = [84, 104, 101, 32, 99, 97, 116, 115, 33];
    const tokenizer = byteTokenizer();
    const common = {
      vocab_size: vocabularySize(tokenizer),
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: 128,
    };
    const configs: Readonly<Record<string, object>> = {
      llama: { ...common, num_key_value_heads: 2 },
      mistral: { ...common, sliding_window: 8 },
      qwen2: { ...common, num_key_value_heads: 2 },
      qwen3: { ...common, num_key_value_heads: 1, head_dim: 32 },
      gpt2: { vocab_size: common.vocab_size, n_positions: 128, n_embd: 64, n_layer: 2, n_head: 4 },
      gpt_neox: common,
      opt: { ...common, ffn_dim: 96, word_embed_proj_dim: 32 },
    };

    it.each(cachedModelTypes)('%s', async (model_type) => {
      const config = { model_type, ...configs[model_type] };
      const model = await loudModel({ config, tokenizer });
      const name = await exported(model);
      expect(await theirs(name, prompt, 24)).toEqual(await ours(model, prompt, 24));
    });
  });

  describe('encoder-decoders, as two graphs', () => {
    type Sequences = { generate(options: object): Promise<Numbers> } & Running;
    const loader = (name: string) =>
      (library as unknown as Record<string, Loader<Sequences>>)[name];

    async function written(name: string, kind: string, source: object, length: number) {
      const running = await loader(kind).from_pretrained(name);
      try {
        const all = await running.generate({ ...source, max_new_tokens: length, do_sample: false });
        return Array.from(all.data, Number).slice(1);
      } finally {
        await running.dispose();
      }
    }

    async function oursOf(model: Model, source: number[] | Float32Array, length: number) {
      const ids: number[] = [];
      const steps = generate(model, source, { maxNewTokens: length, device });
      for await (const { id } of steps) ids.push(id);
      return ids;
    }

    it.each(['t5', 't5-gated'])('%s', async (fixture) => {
      const model = (await readFixture(fixture)).model();
      const name = await exported(model);
      expect(await readdir(join(place, name, 'onnx'))).toEqual([
        'decoder_model_merged.onnx',
        'encoder_model.onnx',
      ]);
      for (const ids of [[5, 9, 12, 30, 7, 3], [21]]) {
        const source = { input_ids: longs([ids]), attention_mask: longs([ids.map(() => 1)]) };
        const expected = await oursOf(model, ids, 20);
        expect(expected.length).toBeGreaterThan(1);
        expect(await written(name, 'AutoModelForSeq2SeqLM', source, 20)).toEqual(expected);
      }
    });

    it('t5, sources padded on the right, as each alone', async () => {
      const model = (await readFixture('t5')).model();
      const name = await exported(model);
      const running = await loader('AutoModelForSeq2SeqLM').from_pretrained(name);
      const sources = [
        [5, 9, 12, 30, 7, 3],
        [21, 4],
      ];
      const pad = (row: number[]) => [...row, ...new Array<number>(6 - row.length).fill(0)];
      const all = await running.generate({
        input_ids: longs(sources.map(pad)),
        attention_mask: longs(sources.map((row) => pad(row.map(() => 1)))),
        max_new_tokens: 12,
        do_sample: false,
      });
      await running.dispose();
      for (const [i, source] of sources.entries()) {
        const row = Array.from(all.data, Number).slice(i * all.dims[1], (i + 1) * all.dims[1]);
        const expected = await oursOf(model, source, 12);
        expect(row.slice(1, 1 + expected.length)).toEqual(expected);
      }
    });

    it('moonshine, from samples', async () => {
      const model = (await readFixture('moonshine')).model();
      const name = await exported(model);
      const { Tensor } = library as unknown as {
        Tensor: new (type: string, data: Float32Array, dims: number[]) => Numbers;
      };
      const samples = Float32Array.from({ length: 8000 }, (_, i) => Math.sin(i * i * 1e-3) * 0.3);
      const source = { input_values: new Tensor('float32', samples, [1, samples.length]) };
      const expected = await oursOf(model, samples, 16);
      expect(expected.length).toBeGreaterThan(1);
      expect(await written(name, 'AutoModelForSpeechSeq2Seq', source, 16)).toEqual(expected);
    });

    it.skipIf(!moonshineIsHere)('moonshine-tiny hears a speech, in its pipeline', async () => {
      const model = await loadMoonshinePackage();
      const samples = (await jfk()) as Float32Array;
      const name = await exported(model);
      const { pipeline } = library as unknown as {
        pipeline(
          task: string,
          name: string,
        ): Promise<Running & ((samples: Float32Array) => Promise<{ text: string }>)>;
      };
      const hear = await pipeline('automatic-speech-recognition', name);
      const { text } = await hear(samples);
      await hear.dispose();
      await using decoder = await openDecoder(model, device);
      let expected = '';
      for await (const piece of transcribe(decoder, samples)) expected += piece.text;
      expect(text.trim()).toBe(expected.trim());
      expect(text).toContain('ask not what your country');
      await closed(model);
    });
  });

  describe('encoders', () => {
    it('use-lite: the same vectors, texts of mixed length, through its own tokenizer', async () => {
      const model = await loadUseLitePackage();
      const name = await exported(model);
      const tokenizer = await library.AutoTokenizer.from_pretrained(name);
      const running = await library.AutoModel.from_pretrained(name);
      const texts = [...sampleTexts, 'Ünïcode ﬁne: 1/2'];
      tokenizer.padding_side = 'right';
      await using encoder = await openEncoder(model, device);
      const expected = (await encoder.encode(texts)).data as Float32Array;
      for (const [i, text] of texts.entries()) {
        const { sentence_embedding } = await running(tokenizer(text));
        const far = Math.max(
          ...Array.from(sentence_embedding.data, (x, k) =>
            Math.abs(Number(x) - expected[i * encoder.width + k]),
          ),
        );
        expect(far, text).toBeLessThan(1e-4);
      }
      await running.dispose();
    });

    it('bert: the feature-extraction pipeline pools to the same vectors', async () => {
      const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', ...'abcdefghijklmnopqrstuvwxyz'];
      const pieces = [...words, ...[...'abcdefghijklmnopqrstuvwxyz'].map((c) => `##${c}`)];
      const tokenizer = wordPieces(pieces);
      const model = await loudModel({
        tokenizer,
        config: {
          model_type: 'bert',
          vocab_size: pieces.length,
          hidden_size: 32,
          num_hidden_layers: 2,
          num_attention_heads: 4,
          intermediate_size: 64,
          max_position_embeddings: 64,
          type_vocab_size: 2,
          pad_token_id: 0,
        },
      });
      const name = await exported(model);
      const extract = await library.pipeline('feature-extraction', name);
      const texts = ['a cat', 'three mice ran away over there', 'x'];
      const vectors = await extract(texts, { pooling: 'mean', normalize: false });
      await extract.dispose();
      await using encoder = await openEncoder(model, device);
      const expected = await encoder.encode(texts);
      expect(vectors.dims).toEqual([3, 32]);
      const far = Math.max(
        ...Array.from(vectors.data, (x, i) =>
          Math.abs(Number(x) - (expected.data as Float32Array)[i]),
        ),
      );
      expect(far).toBeLessThan(1e-4);
    });
  });
});

/** A WordPiece tokenizer, as BERT's. */
function wordPieces(pieces: readonly string[]): TextTokenizer {
  const ids = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const special = (content: string) => ({ SpecialToken: { id: content, type_id: 0 } });
  return createTokenizer({
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: pieces.slice(0, 4).map((content, id) => ({
        id,
        content,
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      })),
      normalizer: {
        type: 'BertNormalizer',
        lowercase: true,
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [special('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, special('[SEP]')],
        pair: [special('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, special('[SEP]')],
        special_tokens: Object.fromEntries(
          ['[CLS]', '[SEP]'].map((token) => [
            token,
            { id: token, ids: [ids[token]], tokens: [token] },
          ]),
        ),
      },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: ids,
      },
    },
    config: {
      tokenizer_class: 'BertTokenizer',
      unk_token: '[UNK]',
      pad_token: '[PAD]',
      cls_token: '[CLS]',
      sep_token: '[SEP]',
      model_max_length: 64,
    },
  });
}
