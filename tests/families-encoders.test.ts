// BERT, RoBERTa and DistilBERT: what they give equals PyTorch's own layers (tests/golden/bert.py), a
// batch equals its texts, folders of sentence-transformers mean what they say, and heads classify.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { memoryStore } from '../src/models/checkpoint.js';
import { openEncoder } from '../src/models/encoder.js';
import { exportOnnx } from '../src/models/export-onnx.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { initialModel } from '../src/models/initial.js';
import {
  classesOf,
  createModel,
  declare,
  type EncoderOutputName,
  encoderProgram,
  type Model,
  storedBytes,
} from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { openTextClassifier } from '../src/models/text-classifier.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import {
  AnyformerError,
  fromNumbers,
  interpret,
  type NDArray,
  toNumbers,
} from '../src/tensor/index.js';
import { classification, contrastive, maskedLm } from '../src/train/encoder-objectives.js';
import { withHeads } from '../src/train/heads.js';
import { adamw } from '../src/train/optimizers.js';
import { constantRate } from '../src/train/schedules.js';
import { openTraining } from '../src/train/training.js';
import { expectClose } from './support/arrays.js';
import { cli } from './support/cli.js';
import { type Fixture, readFixture } from './support/golden.js';
import { bertPieces, robertaPieces, VOCABULARY } from './support/word-pieces.js';

let device: Device;
let place: string;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
  place = await mkdtemp(join(tmpdir(), 'anyformer-encoders-'));
});
afterAll(async () => {
  await device.dispose();
  await rm(place, { recursive: true, force: true });
});

const poolings = ['cls', 'max', 'mean', 'mean_sqrt_len'] as const;
const told = (pooling: readonly string[], more = {}) => ({
  sentence_encoder: { pooling, ...more },
});

async function run(
  model: Model,
  inputs: Record<string, NDArray>,
  outputs: readonly EncoderOutputName[],
  { padded = true, exact = true } = {},
): Promise<Record<string, NDArray>> {
  const built = encoderProgram(model, { typed: true, padded, outputs });
  const parameters = await parameterValues(model, built);
  const feeds: Record<string, NDArray> = {};
  for (const name of built.graph.inputs.keys()) {
    const given = inputs[name] ?? fromNumbers('i64', inputs.input_ids.shape, zeros(inputs));
    feeds[name] = { ...given, data: given.data.slice() } as NDArray;
  }
  const { outputs: slow } = exact ? interpret(built.graph, feeds, parameters) : { outputs: [] };
  await using program = await device.compile(built.graph, { parameters });
  const found = await program.run(feeds);
  for (const [name, value] of slow) {
    expectClose(toNumbers(found[name]), toNumbers(value), 2e-5, `device, ${name}`);
  }
  return found;
}
const zeros = ({ input_ids }: Record<string, NDArray>): number[] =>
  new Array(input_ids.data.length).fill(0);

/** Numbers of the places where a token stands. */
function standing(states: NDArray, mask: NDArray): number[] {
  const width = states.shape.at(-1) ?? 1;
  return [...toNumbers(states)].filter((_, i) => mask.data[Math.floor(i / width)] === 1n);
}

describe.each(['bert-sentence', 'bert-pairs', 'bert-roberta', 'bert-distilbert'])('%s', (name) => {
  let fixture: Fixture;
  let model: Model;
  let headed: boolean;
  beforeAll(async () => {
    fixture = await readFixture(name);
    model = fixture.model();
    headed = classesOf(model) !== undefined;
  });
  const inputs = () => fixture.goldens[0].inputs;
  const outputs = () => fixture.goldens[0].outputs;
  const wanted = (): EncoderOutputName[] => [
    'sentence_embedding',
    'last_hidden_state',
    ...(headed ? (['logits'] as const) : []),
  ];

  it('reads every tensor of its checkpoint but a pooler that nobody asks for', () => {
    const stored = [...declare(model).stored.keys()].sort();
    const given = [...fixture.weights.keys()].filter((key) => headed || !/^pooler\./.test(key));
    expect(stored).toEqual(given.sort());
  });

  it('equals the reference token by token, and its head', async () => {
    const found = await run(model, inputs(), wanted());
    const { attention_mask: mask } = inputs();
    const { last_hidden_state: states, logits } = outputs();
    expectClose(standing(found.last_hidden_state, mask), standing(states, mask), 1e-4, 'tokens');
    if (headed) expectClose(toNumbers(found.logits), toNumbers(logits), 1e-4, 'logits');
  });

  it('equals the reference in every way of pooling', async () => {
    for (const pooling of poolings) {
      if (!outputs()[pooling]) continue;
      const pooled = fixture.model({ config: { ...fixture.config, ...told([pooling]) } });
      const found = await run(pooled, inputs(), ['sentence_embedding']);
      expectClose(
        toNumbers(found.sentence_embedding),
        toNumbers(outputs()[pooling]),
        1e-4,
        pooling,
      );
    }
  });

  it('a padded batch equals its texts alone, padded on either side', async () => {
    const whole = await run(model, inputs(), wanted());
    const { input_ids: ids, attention_mask: mask, token_type_ids: types } = inputs();
    const [rows, longest] = ids.shape;
    for (let r = 0; r < rows; r++) {
      const length = Number(
        toNumbers(mask)
          .slice(r * longest, (r + 1) * longest)
          .reduce((a, b) => a + b),
      );
      const part = (x: NDArray | undefined) =>
        toNumbers(x ?? fromNumbers('i64', ids.shape, zeros(inputs()))).slice(
          r * longest,
          r * longest + length,
        );
      const single = (before: number): Record<string, NDArray> => {
        // Any token may stand in the padding.
        const row = (fill: number, values: ArrayLike<number>) =>
          fromNumbers(
            'i64',
            [1, before + length],
            [...new Array(before).fill(fill), ...Array.from(values)],
          );
        return {
          input_ids: row(7, part(ids)),
          attention_mask: row(0, new Array(length).fill(1)),
          token_type_ids: row(0, part(types)),
        };
      };
      const cases: [string, Record<string, NDArray>, boolean][] = [
        ['alone', single(0), true],
        ['without a mask', single(0), false],
        ['padded on the left', single(3), true],
      ];
      for (const [what, given, padded] of cases) {
        const alone = await run(model, given, wanted(), { padded });
        for (const output of wanted().filter((one) => one !== 'last_hidden_state')) {
          const width = whole[output].shape[1];
          const row = toNumbers(whole[output]).slice(r * width, (r + 1) * width);
          expectClose(toNumbers(alone[output]), row, 1e-5, `text ${r} ${what}: ${output}`);
        }
      }
    }
  });

  it('saves and loads as it is, and with the other prefix', async () => {
    const folder = join(place, name);
    const own = fixture.model({
      config: {
        ...fixture.config,
        ...told(['cls', 'mean'], { normalize: true, max_seq_length: 9 }),
      },
    });
    await saveModel(own, folder);
    const names = await readdir(folder);
    for (const file of ['modules.json', '1_Pooling', 'sentence_bert_config.json']) {
      expect(names).toContain(file);
    }
    const written = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    expect(written).toMatchObject(fixture.config);
    expect(written).not.toHaveProperty('sentence_encoder');
    await using again = await loadModelFolder(folder);
    expect(again.config).toEqual(own.config);
    const before = await run(own, inputs(), ['sentence_embedding']);
    const after = await run(again, inputs(), ['sentence_embedding']);
    expect(after).toEqual(before);

    const prefix = /^(bert|roberta|distilbert)\./;
    const body = String(fixture.config.model_type);
    const other = new Map(
      [...fixture.weights].map(([key, value]) => {
        if (prefix.test(key)) return [key.replace(prefix, ''), value] as const;
        const heads = /^(classifier|pre_classifier)\b/;
        return [heads.test(key) ? key : `${body}.${key}`, value] as const;
      }),
    );
    const moved = await run(fixture.model({ weights: other }), inputs(), wanted());
    const plain = await run(model, inputs(), wanted());
    expect(moved).toEqual(plain);
  });
});

describe('configs', () => {
  const cases: [string, Record<string, unknown>, RegExp][] = [
    [
      'bert-sentence',
      { position_embedding_type: 'relative_key' },
      /position_embedding_type.*absolute.*relative_key/s,
    ],
    ['bert-sentence', { is_decoder: true }, /is_decoder/],
    ['bert-sentence', { num_attention_heads: 5 }, /hidden_size.*num_attention_heads/s],
    ['bert-sentence', { layer_norm_eps: 0 }, /layer_norm_eps/],
    ['bert-sentence', { id2label: { '0': 'a', '2': 'b' } }, /id2label.*0, 1, 2/s],
    ['bert-sentence', { id2label: { '0': 'a' }, num_labels: 3 }, /num_labels/],
    [
      'bert-sentence',
      { sentence_encoder: { pooling: ['last'] } },
      /sentence_encoder\.pooling\[0\]/,
    ],
    ['bert-roberta', { max_position_embeddings: 2 }, /max_position_embeddings.*pad_token_id/s],
    ['bert-roberta', { pad_token_id: -1 }, /pad_token_id/],
    ['bert-distilbert', { n_heads: 5 }, /dim.*a multiple of n_heads/s],
    ['bert-distilbert', { n_layers: undefined }, /n_layers/],
  ];
  it.each(cases)('%s with %j is refused', async (name, change, says) => {
    const fixture = await readFixture(name);
    expect(() => fixture.model({ config: { ...fixture.config, ...change } })).toThrow(says);
  });

  it('an activation that does not exist is named', async () => {
    const fixture = await readFixture('bert-sentence');
    const model = fixture.model({ config: { ...fixture.config, hidden_act: 'gelu_fast_new' } });
    expect(() => declare(model)).toThrow(/no activation 'gelu_fast_new'/);
  });

  it('says what a checkpoint lacks and what does not fit, all of it', async () => {
    const { weights, model } = await readFixture('bert-pairs');
    const fewer = new Map(weights);
    fewer.delete('classifier.bias');
    fewer.set('bert.pooler.dense.weight', fromNumbers('f32', [1, 3], [1, 2, 3]));
    const build = () => declare(model({ weights: fewer }));
    expect(build).toThrow(/no tensor 'classifier.bias'/);
    expect(build).toThrow(/'bert.pooler.dense.weight' of the checkpoint does not fit/);
  });

  it('the context is what the positions and the sentence files allow', async () => {
    const context = ({ family, config }: Model) => family.context(config);
    const bert = await readFixture('bert-sentence');
    expect(context(bert.model())).toBe(16);
    const shorter = told(['mean'], { max_seq_length: 5 });
    expect(context(bert.model({ config: { ...bert.config, ...shorter } }))).toBe(5);
    const longer = told(['mean'], { max_seq_length: 512 });
    expect(context(bert.model({ config: { ...bert.config, ...longer } }))).toBe(16);
    expect(context((await readFixture('bert-roberta')).model())).toBe(16);
  });

  it('a head is where the architecture says so, or labels where none is named', async () => {
    const { config, weights } = await readFixture('bert-pairs');
    const headOf = (change: object) =>
      classesOf(
        createModel({ name: 'x', config: { ...config, ...change }, weights: memoryStore(weights) }),
      );
    expect(headOf({})).toEqual(['entailment', 'neutral', 'contradiction']);
    expect(headOf({ architectures: ['BertModel'] })).toBeUndefined();
    expect(headOf({ architectures: null })).toHaveLength(3);
    expect(headOf({ architectures: null, id2label: null })).toBeUndefined();
    expect(headOf({ id2label: null })).toEqual(['LABEL_0', 'LABEL_1']);
  });
});

/** A sentence encoder of random weights with a tokenizer. */
const smallBert = (config = {}, tokenizer = bertPieces): Model =>
  initialModel({
    name: 'small-bert',
    tokenizer,
    config: {
      model_type: 'bert',
      vocab_size: VOCABULARY,
      hidden_size: 32,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 64,
      max_position_embeddings: 12,
      ...config,
    },
  });

describe('tokens', () => {
  const long = 'the cat sat on the mat and then the dogs walked over the red hill and talked';
  it.each([
    ['bert', bertPieces, '[CLS]', '[SEP]'],
    ['roberta', robertaPieces, '<s>', '</s>'],
  ] as const)(
    '%s: a text has its special tokens, also when it is cut',
    (_, tokenizer, begin, end) => {
      const tokens = (ids: readonly number[]) =>
        ids.map((id) => tokenizer.decode([id], { skipSpecialTokens: false }));
      const all = tokenizer.encode(long);
      expect(tokens(all).at(0)).toBe(begin);
      expect(tokens(all).at(-1)).toBe(end);
      for (const most of [3, 7, all.length - 1, all.length, 100]) {
        const cut = tokenizer.encode(long, { most });
        expect(cut).toEqual(
          most >= all.length ? all : [...all.slice(0, most - 1), all[all.length - 1]],
        );
      }
      expect(tokens(tokenizer.encode(''))).toEqual([begin, end]);
      expect(tokens(tokenizer.encode('', { most: 1 }))).toEqual([begin]);
    },
  );

  it('a pair loses the end of its longer text first, and keeps its types', () => {
    const full = bertPieces.encodePair('the cat sat on the mat', 'a dog ran');
    expect(full.types).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    const text = (ids: readonly number[]) => bertPieces.decode(ids, { skipSpecialTokens: false });
    const cut = (most: number) =>
      bertPieces.encodePair('the cat sat on the mat', 'a dog ran', { most });
    expect(text(cut(9).ids)).toBe('[CLS] the cat sat [SEP] a dog ran [SEP]');
    expect(cut(9).types).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1]);
    expect(text(cut(8).ids)).toBe('[CLS] the cat sat [SEP] a dog [SEP]');
    expect(text(cut(3).ids)).toBe('[CLS] [SEP] [SEP]');
    // <s> the cat </s> </s> a </s>
    expect(robertaPieces.encodePair('the cat', 'a dog', { most: 7 }).ids).toEqual([
      0, 4, 6, 2, 2, 5, 2,
    ]);
    // The second text stands in the first as well.
    const same = bertPieces.encodePair('a cat a cat a cat', 'a cat', { most: 8 });
    expect(text(same.ids)).toBe('[CLS] a cat a [SEP] a cat [SEP]');
  });
});

describe('folders of sentence-transformers', () => {
  const json = (value: unknown) => JSON.stringify(value);
  const stage = (kind: string, path: string, i: number) => ({
    idx: i,
    name: String(i),
    path,
    type: `sentence_transformers.models.${kind}`,
  });
  const stages = (...kinds: string[]) =>
    json(kinds.map((kind, i) => stage(kind, i === 0 ? '' : `${i}_${kind}`, i)));
  let count = 0;

  async function folder(files: Record<string, string>): Promise<string> {
    const path = join(place, `sentence-${count++}`);
    await saveModel(smallBert(), path);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), text);
    }
    return path;
  }

  const read = async (files: Record<string, string>) => {
    await using model = await loadModelFolder(await folder(files));
    return model.config.sentence_encoder;
  };

  it('without modules.json a vector is the mean, as it is', async () => {
    expect(await read({})).toBeUndefined();
    const model = smallBert();
    await using encoder = await openEncoder(model, device);
    const mean = await encoder.encode(['the cat sat', 'a dog']);
    await using same = await openEncoder(smallBert(told(['mean'])), device);
    expect(await same.encode(['the cat sat', 'a dog'])).toEqual(mean);
  });

  it('reads the stages, the pooling and the length', async () => {
    const pooling = {
      word_embedding_dimension: 32,
      pooling_mode_cls_token: true,
      pooling_mode_mean_tokens: false,
      pooling_mode_lasttoken: false,
      include_prompt: true,
    };
    expect(
      await read({
        'modules.json': stages('Transformer', 'Pooling', 'Normalize'),
        '1_Pooling/config.json': json(pooling),
        'sentence_bert_config.json': json({ max_seq_length: 8, do_lower_case: false }),
      }),
    ).toEqual({ pooling: ['cls'], normalize: true, max_seq_length: 8 });
    // What a pooling file does not say: the mean.
    expect(
      await read({
        'modules.json': stages('Transformer', 'Pooling'),
        '1_Pooling/config.json': json({ pooling_mode_max_tokens: true }),
      }),
    ).toEqual({ pooling: ['max', 'mean'], normalize: false });
    expect(
      await read({
        'modules.json': stages('Transformer', 'Pooling'),
        '1_Pooling/config.json': json({ pooling_mode: 'max' }),
      }),
    ).toEqual({ pooling: ['max'], normalize: false });
  });

  const pooling = { '1_Pooling/config.json': '{}' };
  it.each<[string, Record<string, string>, string, RegExp]>([
    [
      'a dense stage',
      { ...pooling, 'modules.json': stages('Transformer', 'Pooling', 'Dense') },
      'models/sentence-modules',
      /Dense in '2_Dense'/,
    ],
    [
      'no pooling',
      { 'modules.json': stages('Transformer') },
      'models/sentence-modules',
      /Transformer/,
    ],
    [
      'the last token',
      {
        'modules.json': stages('Transformer', 'Pooling'),
        '1_Pooling/config.json': json({
          pooling_mode_mean_tokens: false,
          pooling_mode_lasttoken: true,
        }),
      },
      'models/sentence-pooling',
      /lasttoken/,
    ],
    [
      'nothing to pool',
      {
        'modules.json': stages('Transformer', 'Pooling'),
        '1_Pooling/config.json': json({ pooling_mode_mean_tokens: false }),
      },
      'models/sentence-pooling',
      /none/,
    ],
    [
      'a pooling elsewhere',
      { 'modules.json': json([stage('Transformer', '', 0), stage('Pooling', '../../etc', 1)]) },
      'file/name',
      /\.\./,
    ],
    [
      'a lower case of its own',
      {
        ...pooling,
        'modules.json': stages('Transformer', 'Pooling'),
        'sentence_bert_config.json': json({ max_seq_length: 8, do_lower_case: true }),
      },
      'config/value',
      /do_lower_case/,
    ],
    ['no list', { 'modules.json': '{}' }, 'config/value', /modules.json/],
    ['a file cut short', { 'modules.json': '[{"path": ""' }, 'config/json', /modules.json/],
  ])('%s is refused', async (_, files, code, says) => {
    const path = await folder(files);
    const failure = await loadModelFolder(path).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(AnyformerError);
    expect(failure).toMatchObject({ code });
    expect(String(failure)).toMatch(says);
  });

  it('old files whose norms have a gamma and a beta are read, and written as new ones', async () => {
    const { config, weights, goldens } = await readFixture('bert-sentence');
    const old = new Map(
      [...weights].map(([name, value]) => [
        name
          .replace('LayerNorm.weight', 'LayerNorm.gamma')
          .replace('LayerNorm.bias', 'LayerNorm.beta'),
        value,
      ]),
    );
    const path = join(place, 'gamma');
    await mkdir(path);
    await writeFile(join(path, 'config.json'), json(config));
    await writeFile(join(path, 'model.safetensors'), safetensorsOf(old));
    await using model = await loadModelFolder(path);
    const found = await run(model, goldens[0].inputs, ['sentence_embedding']);
    expectClose(toNumbers(found.sentence_embedding), toNumbers(goldens[0].outputs.mean), 1e-4);
    await saveModel(model, join(place, 'not-gamma'));
    await using again = await loadModelFolder(join(place, 'not-gamma'));
    expect([...again.weights.names()]).toContain('embeddings.LayerNorm.weight');
    expect([...again.weights.names()].some((name) => /gamma|beta/.test(name))).toBe(false);
  });

  it('anyformer embed takes the folder', async () => {
    const path = await folder({
      'modules.json': stages('Transformer', 'Pooling', 'Normalize'),
      '1_Pooling/config.json': json({ pooling_mode_mean_tokens: true }),
      'sentence_bert_config.json': json({ max_seq_length: 8 }),
    });
    const long = 'the cat sat on the mat and then the dogs walked over the red hill';
    const texts = ['the cat sat on the mat.', 'a dog', '', long];
    const { code, stdout, stderr } = await cli('embed', path, ...texts, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { width, vectors } = JSON.parse(stdout);
    expect(width).toBe(32);
    await using model = await loadModelFolder(path);
    for (const [i, text] of texts.entries()) {
      expect(Math.hypot(...vectors[i])).toBeCloseTo(1, 5);
      const ids = bertPieces.encode(text, { most: 8 });
      const found = await run(
        model,
        { input_ids: fromNumbers('i64', [1, ids.length], ids) },
        ['sentence_embedding'],
        { padded: false },
      );
      expectClose(vectors[i], toNumbers(found.sentence_embedding), 1e-5, text);
    }
  });
});

/** A safetensors file, written here. */
function safetensorsOf(weights: ReadonlyMap<string, NDArray>): Uint8Array {
  let at = 0;
  const header: Record<string, object> = {};
  const parts: Uint8Array[] = [];
  for (const [name, { shape, data }] of weights) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
    parts.push(bytes);
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return Buffer.concat([length, text, ...parts]);
}

const rates = { optimizer: adamw(), rate: 0.01, schedule: constantRate() };

describe('classes', () => {
  const headed = {
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'no', 1: 'yes' },
  };

  it('of texts and pairs, each as alone', async () => {
    const model = smallBert(headed);
    await using classifier = await openTextClassifier(model, device);
    expect(classifier.classes).toEqual(['no', 'yes']);
    const texts = [
      'the cat sat',
      ['the cat sat', 'a dog ran over the red hill and then talked'],
      ['a', 'a'],
      'a a',
    ] as const;
    const all = await classifier.classify(texts);
    for (const [i, text] of texts.entries()) {
      const [alone] = await classifier.classify([text]);
      expect(alone.map(({ label }) => label)).toEqual(all[i].map(({ label }) => label));
      expectClose(
        alone.map(({ score }) => score),
        all[i].map(({ score }) => score),
        1e-5,
      );
      expect(all[i][0].score).toBeGreaterThanOrEqual(all[i][1].score);
      expect(all[i][0].score + all[i][1].score).toBeCloseTo(1, 6);
    }
    // Types tell a pair from a text.
    expect(all[2]).not.toEqual(all[3]);
  });

  it('each for itself where several may hold', async () => {
    const model = smallBert({ ...headed, problem_type: 'multi_label_classification' });
    await using classifier = await openTextClassifier(model, device);
    const [scores] = await classifier.classify(['the cat']);
    expect(scores[0].score + scores[1].score).not.toBeCloseTo(1, 6);
  });

  it('a model without a head is refused', async () => {
    await expect(openTextClassifier(smallBert(), device)).rejects.toMatchObject({
      code: 'models/no-head',
    });
  });

  it('are learned by the head that the model has, under its names', async () => {
    const model = smallBert(headed);
    const objective = classification({ classes: 2 });
    expect(withHeads(model, objective)).toBe(model);
    expect(() => withHeads(model, classification({ classes: 3 }))).toThrow(
      /another number of classes/,
    );
    const ids = [
      [2, 4, 3],
      [2, 6, 3],
    ];
    const batch = () => ({
      input_ids: fromNumbers('i64', [2, 3], ids.flat()),
      attention_mask: fromNumbers('i64', [2, 3], new Array(6).fill(1)),
      labels: fromNumbers('i64', [2], [0, 1]),
    });
    await using training = await openTraining(model, objective, rates, device);
    const first = await training.run(batch());
    let last = first;
    for (let i = 0; i < 15; i++) last = await training.run(batch());
    expect(last.loss).toBeLessThan(0.5 * first.loss);
    const learned = await training.snapshot();
    await saveModel(learned, join(place, 'learned'));
    await using again = await loadModelFolder(join(place, 'learned'));
    await using classifier = await openTextClassifier(again, device);
    const found = await classifier.classify(['the', 'cat'].map((text) => text));
    expect(found.map(([{ label }]) => label)).toEqual(['no', 'yes']);
  });

  it('what a head is not asked for does not stand in the way', async () => {
    const ids = () => fromNumbers('i64', [2, 3], [2, 4, 3, 2, 6, 3]);
    const mask = () => fromNumbers('i64', [2, 3], new Array(6).fill(1));
    const batch = {
      input_ids: ids(),
      attention_mask: mask(),
      other_ids: ids(),
      other_mask: mask(),
    };
    await using training = await openTraining(smallBert(headed), contrastive(), rates, device);
    expect((await training.run(batch)).loss).toBeGreaterThan(0);
    const learned = await training.snapshot();
    expect([...learned.weights.names()]).toContain('classifier.weight');
    await saveModel(learned, join(place, 'contrasted'));
  });

  it('a fresh head goes beside a checkpoint with a prefix, and the body stays', async () => {
    const { weights, model } = await readFixture('bert-distilbert');
    const { config } = model();
    const body = new Map([...weights].filter(([name]) => name.startsWith('distilbert.')));
    const plain = model({
      weights: body,
      config: { ...config, architectures: ['DistilBertModel'], id2label: null },
    });
    const fresh = withHeads(plain, classification({ classes: 5 }));
    const added = [...fresh.weights.names()].filter((name) => !body.has(name));
    expect(added.sort()).toEqual(['classifier.bias', 'classifier.weight']);
    const words = withHeads(plain, maskedLm());
    const more = [...words.weights.names()].filter((name) => !body.has(name));
    expect(more.sort()).toEqual(['mlm_head.bias', 'mlm_head.weight']);
  });
});

describe('smaller and elsewhere', () => {
  const chain = 'int8:block=32';
  it('int8 keeps the vectors, saves and loads', async () => {
    const model = smallBert(told(['mean'], { normalize: true }));
    const small = await applyChain(model, parseChain(chain), { device });
    expect(storedBytes(small)).toBeLessThan(0.5 * storedBytes(model));
    const texts = ['the cat sat on the mat.', 'a dog ran'];
    await using exact = await openEncoder(model, device);
    await using rough = await openEncoder(small, device);
    const [a, b] = [await exact.encode(texts), await rough.encode(texts)].map(toNumbers);
    for (let r = 0; r < 2; r++) {
      const cosine = a
        .slice(r * 32, (r + 1) * 32)
        .reduce((sum, x, i) => sum + x * b[r * 32 + i], 0);
      expect(cosine).toBeGreaterThan(0.99);
    }
    const quality = {
      data: { name: 'none', examples: 0, sha256: '' },
      original: 'small-bert',
      metrics: {},
      measuredBy: { version: '0', device: 'cpu', threads: 1 },
    };
    const folder = join(place, 'int8');
    await saveModel({ ...small, quality }, folder);
    await using again = await loadModelFolder(folder);
    await using reread = await openEncoder(again, device);
    expect(toNumbers(await reread.encode(texts))).toEqual(b);
  });

  it.each(['', chain])(
    'the exported graph gives the same in plain onnxruntime-node: %s',
    async (passes) => {
      const { model: make, goldens } = await readFixture('bert-pairs');
      const quality = {
        data: { name: 'none', examples: 0, sha256: '' },
        original: 'bert-pairs',
        metrics: {},
        measuredBy: { version: '0', device: 'cpu', threads: 1 },
      };
      const plain = make();
      const model = passes
        ? { ...(await applyChain(plain, parseChain('int8:block=16'), { device })), quality }
        : plain;
      const folder = join(place, `exported-${passes.length}`);
      await exportOnnx(model, folder);
      const session = await InferenceSession.create(join(folder, 'onnx', 'model.onnx'));
      expect([...session.inputNames].sort()).toEqual([
        'attention_mask',
        'input_ids',
        'token_type_ids',
      ]);
      const { inputs } = goldens[0];
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape, data }]) => [
          name,
          new OrtTensor('int64', data as BigInt64Array, shape),
        ]),
      );
      const found = await session.run(feeds);
      expect(Object.keys(found).sort()).toEqual([
        'last_hidden_state',
        'logits',
        'sentence_embedding',
      ]);
      const ours = await run(model, inputs, ['logits', 'sentence_embedding'], { exact: false });
      for (const [name, value] of Object.entries(ours)) {
        expectClose(found[name].data as Float32Array, toNumbers(value), 1e-5, name);
      }
      await session.release();
    },
  );
});
