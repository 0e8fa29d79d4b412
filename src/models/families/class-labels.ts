// Classes that a checkpoint tells apart, as config.json names them: `id2label`, or only how many.
import { z } from 'zod';

export const labelKeys = {
  /** Classes of the model's source code: they say whether there is a head for labels. */
  architectures: z.array(z.string()).nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  num_labels: z.int().positive().nullish(),
  /** How scores become probabilities: over all classes together, or each for itself. */
  problem_type: z
    .enum(['single_label_classification', 'multi_label_classification', 'regression'])
    .nullish(),
};
export type LabelKeys = z.output<z.ZodObject<typeof labelKeys>>;

/** Refuses names that do not count from 0. */
export function checkLabels({ id2label, num_labels }: LabelKeys, context: z.RefinementCtx): void {
  const names = Object.keys(id2label ?? {});
  const wrong = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message, input: id2label });
  if (names.some((_, i) => !names.includes(String(i)))) {
    wrong('id2label', 'a name for each of 0, 1, 2, ...');
  }
  if (id2label && num_labels && names.length !== num_labels) {
    wrong('num_labels', 'as many as id2label has names');
  }
}

/** The names in the order of the scores; two without names where a config says nothing. */
export function labelsOf({ id2label, num_labels }: LabelKeys): readonly string[] {
  const count = Object.keys(id2label ?? {}).length || (num_labels ?? 2);
  return Array.from({ length: count }, (_, i) => id2label?.[i] ?? `LABEL_${i}`);
}

/**
 * The same where the checkpoint has a head for whole texts: its architecture says so, or where none is
 * named there are labels.
 */
export function textLabels(c: LabelKeys): readonly string[] | undefined {
  const headed = c.architectures?.length
    ? c.architectures.some((name) => name.endsWith('ForSequenceClassification'))
    : Boolean(c.id2label ?? c.num_labels);
  return headed ? labelsOf(c) : undefined;
}
