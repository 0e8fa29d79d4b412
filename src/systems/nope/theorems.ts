// The two constructions of the paper, run as weights of our decoder. Without any position signal, a
// first layer writes each token's place into the stream, and a second layer's scores are content plus
// distance.
//
// Layer 1: queries and keys are zero, so that place t (from 1) spreads its weight evenly, 1/t each; the
// value is 1 on the first token alone, so the head writes u = 1/t. The perceptron is linear between
// the points u = 1/k: t = 1 + sum over k of 2k max(0, 1/k - u).
// Layer 2: q_i = [c_i, 1, -i], k_j = [c'_j, j, 1], whose product is c_i c'_j + (j - i).
import { memoryStore } from '../../models/checkpoint.js';
import { initialModel } from '../../models/initial.js';
import { buildProgram, isDecoder, type Model, wholeSequences } from '../../models/model.js';
import {
  fromNumbers,
  graph,
  type NDArray,
  normalAt,
  sizeOf,
  type Tensor,
  tap,
  toNumbers,
} from '../../tensor/index.js';
import { opened } from '../experiment.js';
import type { MeasureContext } from '../system.js';

export const PLACES = 64;

/** Features of the stream. */
const ONE = 0;
const FIRST = 1;
const ASKED = 2;
const GIVEN = 3;
const SHARE = 4;
const PLACE = 5;
const WIDTH = 6;
const VOCABULARY = 32;
const HEAD_DIM = 4;

const config = {
  model_type: 'metaformer',
  vocab_size: VOCABULARY,
  hidden_size: WIDTH,
  num_attention_heads: 1,
  head_dim: HEAD_DIM,
  norm: 'none',
  position: { type: 'none' },
  layers: [
    {
      mixer: { type: 'attention' },
      channel: { type: 'mlp', hidden: PLACES - 1, activation: 'relu', bias: true },
    },
    { mixer: { type: 'attention' }, channel: { type: 'none' } },
  ],
  max_position_embeddings: PLACES,
};

/** Content of a token: two drawn numbers. */
const content = (id: number) => ({ asked: normalAt(1, id), given: normalAt(2, id) });

/** A matrix [rows, columns] with a few entries that are not zero. */
function sparse(
  shape: readonly [number, number],
  entries: readonly (readonly [row: number, column: number, value: number])[],
): NDArray {
  const values = new Float64Array(sizeOf(shape));
  for (const [row, column, value] of entries) values[row * shape[1] + column] = value;
  return fromNumbers('f32', shape, values);
}

function weights(): Map<string, NDArray> {
  const ids = Array.from({ length: VOCABULARY }, (_, id) => id);
  const knots = Array.from({ length: PLACES - 1 }, (_, i) => i + 1);
  const projection = [HEAD_DIM, WIDTH] as const;
  // Attention divides scores by the root of the head's width.
  const scale = Math.sqrt(HEAD_DIM);
  return new Map([
    [
      'embed_tokens.weight',
      sparse(
        [VOCABULARY, WIDTH],
        ids.flatMap((id) => [
          [id, ONE, 1] as const,
          [id, FIRST, id === 0 ? 1 : 0] as const,
          [id, ASKED, content(id).asked] as const,
          [id, GIVEN, content(id).given] as const,
        ]),
      ),
    ],
    ['layers.0.mixer.q_proj.weight', sparse(projection, [])],
    ['layers.0.mixer.k_proj.weight', sparse(projection, [])],
    ['layers.0.mixer.v_proj.weight', sparse(projection, [[0, FIRST, 1]])],
    ['layers.0.mixer.o_proj.weight', sparse([WIDTH, HEAD_DIM], [[SHARE, 0, 1]])],
    [
      'layers.0.mlp.fc1.weight',
      sparse(
        [PLACES - 1, WIDTH],
        knots.map((_, i) => [i, SHARE, -1] as const),
      ),
    ],
    [
      'layers.0.mlp.fc1.bias',
      fromNumbers(
        'f32',
        [PLACES - 1],
        knots.map((k) => 1 / k),
      ),
    ],
    [
      'layers.0.mlp.fc2.weight',
      sparse(
        [WIDTH, PLACES - 1],
        knots.map((k, i) => [PLACE, i, 2 * k] as const),
      ),
    ],
    [
      'layers.0.mlp.fc2.bias',
      fromNumbers(
        'f32',
        [WIDTH],
        Array.from({ length: WIDTH }, (_, i) => (i === PLACE ? 1 : 0)),
      ),
    ],
    [
      'layers.1.mixer.q_proj.weight',
      sparse(projection, [
        [0, ASKED, scale],
        [1, ONE, scale],
        [2, PLACE, -scale],
      ]),
    ],
    [
      'layers.1.mixer.k_proj.weight',
      sparse(projection, [
        [0, GIVEN, 1],
        [1, PLACE, 1],
        [2, ONE, 1],
      ]),
    ],
    ['layers.1.mixer.v_proj.weight', sparse(projection, [])],
    ['layers.1.mixer.o_proj.weight', sparse([WIDTH, HEAD_DIM], [])],
  ]);
}

const machine = (): Model => ({
  ...initialModel({ name: 'theorem', config, tokenizer: undefined }),
  weights: memoryStore(weights()),
});

type Read = { places: Float64Array; scores: Float64Array; ids: readonly number[] };

/** One row of 64 tokens, the first of them <bos>; with the causal mask or without. */
async function read(context: MeasureContext, causal: boolean): Promise<Read> {
  const model = machine();
  const built = buildProgram(model, (s): Record<string, Tensor> => {
    if (!isDecoder(model)) return {};
    const inputs = wholeSequences();
    const mask = causal ? inputs.mask : inputs.mask.or(inputs.mask.cast('i64').equal(0));
    return { logits: model.family.logits(s, model.config, { ...inputs, mask }) };
  });
  const stream = tap(built.graph, 'layers.0');
  const scores = tap(built.graph, 'layers.1.mixer.scores');
  await using program = await opened(context, model, {
    ...built,
    graph: graph({ stream, scores }),
  });
  const ids = Array.from({ length: PLACES }, (_, i) => (i === 0 ? 0 : 1 + ((7 * i) % 31)));
  const result = await program.run({
    input_ids: fromNumbers('i64', [1, PLACES], ids),
    attention_mask: fromNumbers('i64', [1, PLACES], new Float64Array(PLACES).fill(1)),
  });
  const values = toNumbers(result.stream);
  return {
    places: Float64Array.from(ids, (_, i) => values[i * WIDTH + PLACE]),
    scores: toNumbers(result.scores),
    ids,
  };
}

/** Largest |t - place| over places 1..64. */
export async function placeError(context: MeasureContext, causal = true): Promise<number> {
  const { places } = await read(context, causal);
  return Math.max(...Array.from(places, (value, i) => Math.abs(value - (i + 1))));
}

/** Largest error of scores as content + (j - i), over the keys that a query sees. */
export async function distanceError(context: MeasureContext): Promise<number> {
  const { scores, ids } = await read(context, true);
  let worst = 0;
  for (let i = 0; i < PLACES; i++) {
    for (let j = 0; j <= i; j++) {
      const wanted = content(ids[i]).asked * content(ids[j]).given + (j - i);
      worst = Math.max(worst, Math.abs(scores[i * PLACES + j] - wanted));
    }
  }
  return worst;
}
