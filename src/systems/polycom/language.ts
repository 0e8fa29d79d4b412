// A byte language model with each activation: equal parameters (non-gated hidden widths are 1.5 times
// the gated one), equal text, equal steps and recipe; validation loss half-way and at the end, in nats
// a byte. Matrices begin at 0.02: at this size it suits GELU and PolyNorm better than 1/sqrt(inputs), with
// which the two end equal.

import { equalParameterHidden } from '../../models/families/metaformer-layer.js';
import { buildProgram, type Model } from '../../models/model.js';
import { fromNumbers, type NDArray, toNumbers, uniformAt } from '../../tensor/index.js';
import { causalLm } from '../../train/objectives.js';
import { mean, opened, train } from '../experiment.js';
import type { MeasureContext } from '../system.js';

export type LanguageScale = {
  width: number;
  layers: number;
  sequence: number;
  batch: number;
  steps: number;
  seeds: number;
  rate: number;
};

export const languageScales: Readonly<Record<MeasureContext['mode'], LanguageScale>> = {
  quick: { width: 32, layers: 2, sequence: 64, batch: 16, steps: 120, seeds: 1, rate: 4e-3 },
  full: { width: 96, layers: 3, sequence: 96, batch: 16, steps: 500, seeds: 1, rate: 4e-3 },
};

const ACTIVATIONS = ['gelu', 'relu2', 'swiglu', 'polyrelu', 'polynorm'] as const;
type Act = (typeof ACTIVATIONS)[number];
const CHAPTERS = 135;
/** The last chapters are never trained on. */
const HELD_OUT = 12;

async function chapters(context: MeasureContext): Promise<{ train: Uint8Array; held: Uint8Array }> {
  const texts: Uint8Array[] = [];
  for (let i = 1; i <= CHAPTERS; i++) {
    texts.push(await context.data('moby-dick', `chapter_${i}.txt`));
  }
  const joined = (parts: readonly Uint8Array[]) =>
    Uint8Array.from(parts.flatMap((part) => [...part]));
  return {
    train: joined(texts.slice(0, CHAPTERS - HELD_OUT)),
    held: joined(texts.slice(CHAPTERS - HELD_OUT)),
  };
}

function configOf(act: Act, { width, layers, sequence }: LanguageScale) {
  const gated = Math.round((8 / 3) * width);
  const channel =
    act === 'swiglu'
      ? { type: 'gated', hidden: gated, activation: 'silu' }
      : { type: 'mlp', hidden: equalParameterHidden(gated), activation: act };
  return {
    model_type: 'metaformer',
    vocab_size: 256,
    hidden_size: width,
    num_attention_heads: 4,
    position: { type: 'rotary' },
    layers: Array.from({ length: layers }, () => ({ mixer: { type: 'attention' }, channel })),
    max_position_embeddings: sequence,
  };
}

/** Windows of the text that begin at these places. */
function windows(
  text: Uint8Array,
  starts: readonly number[],
  length: number,
): Record<string, NDArray> {
  const shape = [starts.length, length];
  const ids = starts.flatMap((start) => [...text.subarray(start, start + length)]);
  return {
    input_ids: fromNumbers('i64', shape, ids),
    attention_mask: fromNumbers('i64', shape, new Float64Array(ids.length).fill(1)),
  };
}

async function heldOutLoss(
  context: MeasureContext,
  model: Model,
  held: Uint8Array,
  { sequence, batch }: LanguageScale,
): Promise<number> {
  const built = buildProgram(model, (s) => ({ loss: causalLm()(s, model).loss }));
  await using program = await opened(context, model, built);
  const losses: number[] = [];
  const count = context.mode === 'quick' ? 4 : 24;
  const stride = Math.floor((held.length - sequence) / (count * batch));
  for (let i = 0; i < count; i++) {
    const starts = Array.from({ length: batch }, (_, row) => (i * batch + row) * stride);
    losses.push(toNumbers((await program.run(windows(held, starts, sequence))).loss)[0]);
  }
  return mean(losses);
}

/** Held-out losses of all activations, and PolyNorm's distance to GELU's and to SwiGLU's. */
export async function languageLosses(context: MeasureContext): Promise<Record<string, number>> {
  const scale = languageScales[context.mode];
  const { train: text, held } = await chapters(context);
  const { sequence, batch, steps, seeds, rate } = scale;
  const found: Record<string, number> = {};
  for (const act of ACTIVATIONS) {
    const losses: number[] = [];
    for (let s = 0; s < seeds; s++) {
      const seed = context.seed + s;
      const start = (step: number, row: number) =>
        Math.floor(uniformAt(seed, step * batch + row) * (text.length - sequence));
      const { model, losses: curve } = await train(context, {
        what: `byte model, ${act}`,
        config: configOf(act, scale),
        objective: causalLm(),
        steps,
        rate,
        seed,
        decay: 0.1,
        batch: (step) =>
          windows(
            text,
            Array.from({ length: batch }, (_, row) => start(step, row)),
            sequence,
          ),
      });
      losses.push(await heldOutLoss(context, model, held, scale));
      const at = [0.25, 0.5, 0.75, 1].map((share) => {
        const end = Math.floor(share * steps);
        return mean(curve.slice(Math.max(0, end - 20), end)).toFixed(3);
      });
      context.note(`${act}, seed ${seed}, training loss by quarters: ${at.join(' ')}`);
    }
    found[act] = mean(losses);
  }
  return {
    ...found,
    below_gelu: found.gelu - found.polynorm,
    above_swiglu: found.polynorm - found.swiglu,
  };
}
