// Data of objectives over running text: documents, tokenised and cut into rows of one length.
import { maskToken, vocabularySize } from '../data/byte-level.js';
import { type Corpus, readCorpus } from '../data/corpus.js';
import { readDocuments } from '../data/documents.js';
import { partOf } from '../data/held-out.js';
import { maskedBatches } from '../data/masking.js';
import { orderedBatches, packedBatches, type TokenBatches } from '../data/packed.js';
import { isDecoder, isEncoder, type Model, wrongKind } from '../models/model.js';
import type { TextTokenizer } from '../models/tokenizer.js';
import { AnyformerError } from '../tensor/error.js';
import type { CountedBatches } from '../train/batch-source.js';
import { distillation, frozenTeacher, withTeacher } from '../train/distill.js';
import { maskedLm } from '../train/encoder-objectives.js';
import { withHeads } from '../train/heads.js';
import { causalLm } from '../train/objectives.js';
import { splitFiles } from './text-sources.js';
import type { TrainConfig } from './train-config.js';
import type { Models, Opened } from './train-data.js';
import { checkSizes, freshModel, hashOf, openTokenizer } from './train-tokenizer.js';

type Progress = (what: string) => void;

export async function openTexts(
  config: TrainConfig,
  { given, teacher }: Models,
  progress: Progress,
  signal: AbortSignal,
): Promise<Opened> {
  const { data, batch, sequence: seq, seed } = config;
  const { heldOut, documents: rule } = data;
  const share = typeof heldOut === 'number' ? heldOut : 0;
  const files = await splitFiles(data.train, Array.isArray(heldOut) ? heldOut : []);
  const chosen = (held: boolean) => partOf(readDocuments(files.train, rule), { share, seed, held });
  progress('tokenizer');
  const tokenizer = await openTokenizer(config, [given, teacher], () => chosen(false), signal);
  const plain = { ...(given ?? freshModel(config, tokenizer)), tokenizer };
  checkSizes(plain, tokenizer, seq);
  const learned = await objectiveOf(config, plain, teacher);
  const showing = {
    signal,
    progress: (bytes: number) => progress(`${(bytes / 1e6).toFixed(1)} MB`),
  };
  const corpus = await readCorpus(chosen(false), tokenizer, showing);
  const held =
    files.heldOut.length > 0
      ? await readCorpus(readDocuments(files.heldOut, rule), tokenizer, showing)
      : share > 0
        ? await readCorpus(chosen(true), tokenizer, showing)
        : undefined;
  const { batches = (given: TokenBatches) => given, ...rest } = learned;
  return {
    ...rest,
    batches: batches(packedBatches(corpus, { batch, seq, seed })),
    heldOut: held && batches(orderedBatches(held, { batch, seq })),
    heldOutBytes: config.objective.type === 'causal-lm' ? held?.bytes : undefined,
    hashes: { tokens: corpus.sha256, tokenizer: await hashOf(tokenizer) },
    notes: [
      `data: ${sizes(corpus)}, ${(corpus.bytes / corpus.tokens.length).toFixed(2)} bytes a token`,
      ...(held ? [`held out: ${sizes(held)}`] : []),
    ],
  };
}

function sizes({ documents, tokens }: Corpus): string {
  const count = (n: number) => n.toLocaleString('en-US');
  return `${count(documents)} documents, ${count(tokens.length)} tokens`;
}

type Learned = Pick<Opened, 'model' | 'objective' | 'groups' | 'head'> & {
  /** What becomes of rows of tokens. */
  batches?: (plain: TokenBatches) => CountedBatches;
};

async function objectiveOf(
  { objective, seed }: TrainConfig,
  model: Model & { tokenizer: TextTokenizer },
  teacher: Model | undefined,
): Promise<Learned> {
  switch (objective.type) {
    case 'masked-lm': {
      if (!isEncoder(model)) throw wrongKind(model, 'encoder');
      const { share, smoothing } = objective;
      const hidden = maskedLm({ smoothing });
      const masking = {
        mask: maskOf(model.tokenizer),
        vocabulary: vocabularySize(model.tokenizer),
        share,
        seed,
      };
      return {
        model: withHeads(model, hidden, { seed }),
        objective: hidden,
        head: true,
        batches: (plain) => maskedBatches(plain, masking),
      };
    }
    case 'distillation': {
      if (!isDecoder(model)) throw wrongKind(model, 'decoder');
      if (!teacher) throw new AnyformerError('config/teacher', { what: 'there is no teacher' });
      await checkTokenizers(model.tokenizer, teacher);
      const { type: _, teacher: __, ...options } = objective;
      const soft = distillation({ ...options, teacher });
      return {
        model: withHeads(withTeacher(model, teacher), soft, { seed }),
        objective: soft,
        head: false,
        groups: [frozenTeacher],
      };
    }
    default: {
      if (!isDecoder(model)) throw wrongKind(model, 'decoder');
      const smoothing = 'smoothing' in objective ? objective.smoothing : 0;
      return { model, objective: causalLm({ smoothing }), head: false };
    }
  }
}

function maskOf(tokenizer: TextTokenizer): number {
  const mask = maskToken(tokenizer);
  if (mask !== undefined) return mask;
  throw new AnyformerError('config/tokenizer', {
    what: 'the tokenizer has no token that stands for hidden ones',
    expected: 'mask_token in tokenizer_config.json, a token of the tokenizer',
    found: 'none',
    hint: 'let it be learned here: "tokenizer": {"type": "bpe", "vocabulary": 4096}',
  });
}

async function checkTokenizers(own: TextTokenizer, teacher: Model): Promise<void> {
  if (teacher.tokenizer && (await hashOf(teacher.tokenizer)) === (await hashOf(own))) return;
  throw new AnyformerError('config/tokenizer', {
    what: 'student and teacher cut text into different tokens',
    expected: `the tokenizer of '${teacher.name}'`,
    found: teacher.tokenizer ? 'another one' : 'a teacher without a tokenizer',
    hint: "leave the key tokenizer out: a fresh student takes its teacher's",
  });
}
