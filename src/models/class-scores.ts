// From scores to how likely each class is: over all classes together, or, where several may hold or
// there is but one, each for itself; a regression's number stays as it is.
import type { Model } from './model.js';

export type ClassScore = { readonly label: string; readonly score: number };

/** Sorted, the highest first. */
export function classScores(
  { config }: Model,
  classes: readonly string[],
  scores: ArrayLike<number>,
): ClassScore[] {
  const { problem_type: problem } = config;
  const all = Array.from(scores);
  const values =
    problem === 'regression'
      ? all
      : problem === 'multi_label_classification' || all.length === 1
        ? all.map((x) => 1 / (1 + Math.exp(-x)))
        : softmax(all);
  return classes.map((label, i) => ({ label, score: values[i] })).sort((a, b) => b.score - a.score);
}

function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const weights = scores.map((x) => Math.exp(x - highest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}
