// Distillation (Hinton et al. 2015; hidden states after Jiao et al. 2020): a small decoder learns the
// scores of a bigger one over the same tokens. The teacher is part of the graph, under `teacher.`,
// frozen.
import { layeredStore, type WeightStore } from '../models/checkpoint.js';
import { isDecoder, type Model, wholeSequences, wrongKind } from '../models/model.js';
import { fixedWidth, linear, type Scope } from '../nn/index.js';
import { AnyformerError, graph, input, type Tensor, tap } from '../tensor/index.js';
import { type CrossEntropyOptions, crossEntropy, weightedMean } from './losses.js';
import type { Objective } from './objectives.js';
import type { ParameterGroup } from './step.js';

const TEACHER = 'teacher';

export type DistillOptions = CrossEntropyOptions & {
  teacher: Model;
  /** Softens both distributions; 2 unless told. */
  temperature?: number;
  /** Share of the loss that comes from the text itself; 0.5 unless told. */
  hard?: number;
  /** Pairs of module paths, the student's and the teacher's, whose activations are to be alike. */
  hidden?: readonly (readonly [student: string, teacher: string])[];
  /** Weight of the hidden states' mean squared error; 1 unless told. */
  hiddenWeight?: number;
};

/** The student with the teacher's weights beside its own. */
export function withTeacher(student: Model, teacher: Model): Model {
  const prefix = `${TEACHER}.`;
  const of = (name: string) => name.slice(prefix.length);
  const inside = (name: string) => name.startsWith(prefix) && teacher.weights.has(of(name));
  const beside: WeightStore = {
    names: function* () {
      for (const name of teacher.weights.names()) yield prefix + name;
    },
    has: inside,
    type: (name) => teacher.weights.type(of(name)),
    read: (name) => teacher.weights.read(of(name)),
    file: (name) => teacher.weights.file?.(of(name)),
  };
  return { ...student, weights: layeredStore(beside, student.weights) };
}

/** To be among the step's groups: the teacher does not learn. */
export const frozenTeacher: ParameterGroup = {
  match: (name) => name.startsWith(`${TEACHER}.`),
  rate: 0,
};

/**
 * T^2 KL(teacher || student) at temperature T over the places whose next token stands, mixed with the
 * cross-entropy of the text; and mean squared errors of hidden states, through a learned projection
 * where the widths differ. Metrics: `kl` (at T, without T^2), `cross_entropy`, `hidden`. The model must
 * come from `withTeacher`. Errors: `train/teacher` for another vocabulary or a quantised teacher.
 */
export const distillation =
  (options: DistillOptions): Objective =>
  (s, model) => {
    const { teacher, temperature = 2, hard = 0.5, hidden = [], hiddenWeight = 1 } = options;
    if (!isDecoder(model)) throw wrongKind(model, 'decoder');
    if (!isDecoder(teacher)) throw wrongKind(teacher, 'decoder');
    checkTeacher(model, teacher);
    const inputs = wholeSequences();
    const logits = model.family.logits(s, model.config, inputs);
    const wanted = teacher.family.logits(s.at(TEACHER), teacher.config, inputs).stopGradient();
    // Targets move one place to the left; the last place of a row has none, and no weight.
    const next = (x: Tensor) => x.slice(1, 1).pad(1, 0, 1);
    const attended = input('attention_mask', 'i64', ['batch', 'seq']);
    const weights = next(attended).cast('f32');
    const text = weightedMean(crossEntropy(logits, next(inputs.ids), options), weights);
    const [p, q] = [wanted, logits].map((x) => x.mul(1 / temperature).logSoftmax(-1));
    const kl = weightedMean(p.exp().mul(p.sub(q)).sum(-1), weights);
    const g = graph({ logits, wanted });
    const stands = attended.cast('f32');
    const errors = hidden.map(([from, to], i) => {
      const goal = tap(g, `${TEACHER}.${to}`).stopGradient();
      const own = projected(s.at('distill', i), tap(g, from), fixedWidth(goal));
      const difference = own.sub(goal);
      return weightedMean(difference.mul(difference).mean(-1), stands);
    });
    const soft = kl.mul((1 - hard) * temperature * temperature).add(text.mul(hard));
    const alike = errors.length === 0 ? undefined : errors.reduce((a, b) => a.add(b));
    return {
      loss: alike ? soft.add(alike.mul(hiddenWeight)) : soft,
      weight: weights.sum(),
      metrics: { kl, cross_entropy: text, ...(alike ? { hidden: alike } : {}) },
    };
  };

const projected = (s: Scope, x: Tensor, width: number): Tensor =>
  fixedWidth(x) === width ? x : linear(s, x, width);

function checkTeacher(student: Model, teacher: Model): void {
  const [own, its] = [student, teacher].map(({ family, config }) => family.vocabulary(config));
  if (teacher.quantization) {
    throw new AnyformerError('train/teacher', {
      what: `the teacher '${teacher.name}' is quantised`,
      expected: 'dense weights',
      found: teacher.quantization.passes.map(({ name }) => name).join(', '),
      hint: 'give the model that it was made from',
    });
  }
  if (own === its) return;
  throw new AnyformerError('train/teacher', {
    what: `the teacher '${teacher.name}' scores other tokens than the student`,
    expected: `${own} tokens`,
    found: `${its} tokens`,
    hint: 'student and teacher share one tokenizer',
  });
}
