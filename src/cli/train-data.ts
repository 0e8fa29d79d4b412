// What a training configuration names, opened: tokenizer, model, batches, held-out batches.
import { exists, joinPath, sha256 } from '#platform';
import { trainBpe } from '../data/bpe.js';
import { byteTokenizer, endOfText, vocabularySize } from '../data/byte-level.js';
import { readCorpus } from '../data/corpus.js';
import { readDocuments } from '../data/documents.js';
import { readLabelled } from '../data/labelled.js';
import { orderedBatches, packedBatches } from '../data/packed.js';
import { paddedBatches } from '../data/padded.js';
import { type Labelled, splitLabelled } from '../data/split.js';
import { tokenize } from '../models/encoder.js';
import { initialModel } from '../models/initial.js';
import { readJsonFile } from '../models/json-file.js';
import { isEncoder, type Model, wrongKind } from '../models/model.js';
import { createTokenizer, type TextTokenizer } from '../models/tokenizer.js';
import { AnyformerError } from '../tensor/error.js';
import { uniformAt } from '../tensor/random.js';
import type { CountedBatches, NumberedBatches } from '../train/batch-source.js';
import { classification } from '../train/encoder-objectives.js';
import { withHeads } from '../train/heads.js';
import { causalLm, type Objective } from '../train/objectives.js';
import type { TrainConfig } from './train-config.js';

export type Opened = {
  model: Model;
  objective: Objective;
  batches: NumberedBatches;
  heldOut: CountedBatches | undefined;
  /** UTF-8 bytes of the held-out texts, where bits a byte make sense. */
  heldOutBytes: number | undefined;
  classes: readonly string[] | undefined;
  /** Of data and tokenizer, for a resumed run to be held to. */
  hashes: Record<string, string>;
  /** What was read, in words. */
  notes: readonly string[];
};

type Progress = (what: string) => void;

/** `given` is the model to go on from, where there is one. Errors: `data/...`, `config/...`. */
export async function openTrainData(
  config: TrainConfig,
  given: Model | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<Opened> {
  return config.objective.type === 'classification'
    ? await openLabelled(config, given)
    : await openTexts(config, given, progress, signal);
}

async function openTexts(
  config: TrainConfig,
  given: Model | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<Opened> {
  const { data, batch, sequence: seq, seed } = config;
  const { train, heldOut, documents: rule } = data;
  const portion = typeof heldOut === 'number' ? heldOut : 0;
  const chosen = (held: boolean) => part(readDocuments(train, rule), portion, seed, held);
  progress('tokenizer');
  const tokenizer = await openTokenizer(config, given, () => chosen(false), signal);
  const model = given ?? freshModel(config, tokenizer);
  checkSizes(model, tokenizer, seq);
  const showing = {
    signal,
    progress: (bytes: number) => progress(`${(bytes / 1e6).toFixed(1)} MB`),
  };
  const corpus = await readCorpus(chosen(false), tokenizer, showing);
  const held = Array.isArray(heldOut)
    ? await readCorpus(readDocuments(heldOut, rule), tokenizer, showing)
    : portion > 0
      ? await readCorpus(chosen(true), tokenizer, showing)
      : undefined;
  const count = (n: number) => n.toLocaleString('en-US');
  return {
    model: { ...model, tokenizer },
    objective: causalLm({ smoothing: config.objective.smoothing }),
    batches: packedBatches(corpus, { batch, seq, seed }),
    heldOut: held && orderedBatches(held, { batch, seq }),
    heldOutBytes: held?.bytes,
    classes: undefined,
    hashes: { tokens: corpus.sha256, tokenizer: await hashOf(tokenizer) },
    notes: [
      `data: ${count(corpus.documents)} documents, ${count(corpus.tokens.length)} tokens, ${(corpus.bytes / corpus.tokens.length).toFixed(2)} bytes a token`,
      ...(held
        ? [`held out: ${count(held.documents)} documents, ${count(held.tokens.length)} tokens`]
        : []),
    ],
  };
}

async function openLabelled(config: TrainConfig, given: Model | undefined): Promise<Opened> {
  const { data, batch, sequence, seed } = config;
  const tokenizer = await openTokenizer(config, given, noTexts, undefined);
  const model = { ...(given ?? freshModel(config, tokenizer)), tokenizer };
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  checkSizes(model, tokenizer, sequence);
  const [file, ...others] = data.train;
  if (others.length > 0) {
    throw new AnyformerError('config/data', {
      what: 'the key data.train names several files',
      expected: 'one .tsv file of labels and texts for classification',
      found: `${data.train.length} files`,
    });
  }
  const all = await readLabelled(file);
  const { heldOut } = data;
  const { train, test } =
    typeof heldOut === 'number' && heldOut > 0
      ? splitLabelled(all, { test: heldOut, seed })
      : {
          train: all,
          test: Array.isArray(heldOut) ? await sameClasses(heldOut[0], all) : undefined,
        };
  const rows = ({ texts, labels }: Labelled) => ({
    ids: tokenize(model, texts).map((ids) => ids.slice(0, sequence)),
    labels,
  });
  const objective = classification({
    classes: all.classes.length,
    smoothing: config.objective.smoothing,
  });
  const text = new TextEncoder().encode(JSON.stringify(train));
  return {
    model: withHeads(model, objective, { seed }),
    objective,
    batches: paddedBatches(rows(train), { batch, seed }),
    heldOut: test && paddedBatches(rows(test), { batch, ordered: true }),
    heldOutBytes: undefined,
    classes: all.classes,
    hashes: { rows: await sha256(text), tokenizer: await hashOf(tokenizer) },
    notes: [`data: ${train.texts.length} texts in ${all.classes.length} classes`],
  };
}

/** Held-out rows numbered as the training classes are. Errors: `data/label` for another class. */
async function sameClasses(path: string, { classes }: Labelled): Promise<Labelled> {
  const data = await readLabelled(path, { minPerClass: 1, minRows: 1 });
  const numbers = data.classes.map((name) => classes.indexOf(name));
  const unknown = numbers.indexOf(-1);
  if (unknown !== -1) {
    throw new AnyformerError('data/label', {
      what: `${path} has a label that the training data do not have`,
      expected: classes.join(', '),
      found: data.classes[unknown],
    });
  }
  return { texts: data.texts, labels: data.labels.map((label) => numbers[label]), classes };
}

async function* noTexts(): AsyncGenerator<string> {}

/** Which documents are held out depends on their number and the seed. */
async function* part(
  documents: AsyncIterable<string>,
  share: number,
  seed: number,
  held: boolean,
): AsyncGenerator<string> {
  let [number, given] = [0, 0];
  for await (const document of documents) {
    if (uniformAt(seed ^ 0x5eed, number++) < share === held) {
      given++;
      yield document;
    }
  }
  if (given > 0) return;
  throw new AnyformerError('data/held-out', {
    what: `of ${number} documents ${held ? 'none is held out' : 'all are held out'}`,
    expected: 'some to learn from and some to judge by',
    found: `a share of ${share}`,
    hint: 'cut documents finer (data.documents), or give files of their own as data.heldOut',
  });
}

function freshModel({ model, sequence, seed, out }: TrainConfig, tokenizer: TextTokenizer): Model {
  const config = {
    vocab_size: vocabularySize(tokenizer),
    max_position_embeddings: sequence,
    eos_token_id: endOfText(tokenizer),
    ...(model as object),
  };
  const name = out.split(/[\\/]/).at(-1) ?? 'model';
  return initialModel({ name, config, tokenizer }, { seed });
}

async function openTokenizer(
  { tokenizer }: TrainConfig,
  model: Model | undefined,
  texts: () => AsyncIterable<string>,
  signal: AbortSignal | undefined,
): Promise<TextTokenizer> {
  if (typeof tokenizer === 'string') return await readTokenizer(tokenizer);
  if (tokenizer?.type === 'bytes') return byteTokenizer();
  if (tokenizer) {
    const { vocabulary, minCount } = tokenizer;
    return await trainBpe(texts(), { vocabulary, minCount, signal });
  }
  if (model?.tokenizer) return model.tokenizer;
  throw new AnyformerError('config/tokenizer', {
    what: 'the key tokenizer is missing, and the model has no tokenizer',
    expected: 'bytes, bpe with a vocabulary, or the path of a tokenizer.json',
    found: 'nothing',
  });
}

async function readTokenizer(path: string): Promise<TextTokenizer> {
  const file = path.endsWith('.json') ? path : joinPath(path, 'tokenizer.json');
  const limits = { code: 'tokenizer', maxBytes: 100_000_000 };
  const beside = file.replace(/tokenizer\.json$/, 'tokenizer_config.json');
  const tokenizer = (await readJsonFile(file, limits)) as object;
  const config =
    beside !== file && (await exists(beside)) ? await readJsonFile(beside, limits) : {};
  return createTokenizer({ tokenizer, config: config as object }, file);
}

function checkSizes({ family, config }: Model, tokenizer: TextTokenizer, seq: number): void {
  const [tokens, rows] = [vocabularySize(tokenizer), family.vocabulary(config)];
  if (tokens > rows) {
    throw new AnyformerError('config/vocabulary', {
      what: 'the tokenizer has more tokens than the model has embeddings',
      expected: `at most ${rows} tokens`,
      found: `${tokens} tokens`,
      hint: 'raise vocab_size of the model, or leave it out: it follows the tokenizer',
    });
  }
  const context = family.context(config);
  if (seq <= context) return;
  throw new AnyformerError('config/sequence', {
    what: 'the key sequence is longer than the context of the model',
    expected: `at most ${context} tokens`,
    found: `${seq}`,
  });
}

const hashOf = async ({ files }: TextTokenizer): Promise<string> =>
  await sha256(new TextEncoder().encode(JSON.stringify(files.tokenizer)));
