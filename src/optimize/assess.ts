// Everything that follows from the measurements, in one value: the budget's verdicts, the front, the
// recommendation. The table and the report show it.
import type { Candidate } from './candidate.js';
import { judge, type Verdict } from './judge.js';
import { type Front, paretoFront, showDominated } from './pareto.js';
import { type Choice, type Recommendation, recommend } from './recommend.js';

export type Assessed = {
  readonly candidate: Candidate;
  readonly verdicts: readonly Verdict[];
  readonly onFront: boolean;
  readonly chosen: boolean;
  /** Why it was not chosen, and who beats it; no full stop. Empty for the chosen one. */
  readonly why: string;
  /** The first of it, for a narrow table. */
  readonly short: string;
};

export type Assessment = Choice & {
  readonly front: Front;
  readonly recommendation: Recommendation;
  /** The original first, then the candidates in the order tried. */
  readonly rows: readonly Assessed[];
};

export const FRONT_AXES: readonly string[] = ['size', 'latency', 'quality'];

/** `axes` are those of the front; those that the original was not measured for are left out. */
export function assess(choice: Choice, axes: readonly string[] = FRONT_AXES): Assessment {
  const { original, candidates, budget } = choice;
  const everyone = [original, ...candidates];
  const recommendation = recommend(choice);
  // The front is of what was measured alike: a value from the screening slice beats nobody.
  const front = paretoFront(
    everyone.filter(({ stage }) => stage === 'confirmed'),
    axes.filter((axis) => original.metrics[axis] !== undefined),
  );
  const beaten = new Map(front.dominated.map((one) => [one.name, one]));
  const rejected = new Map(recommendation.rejected.map((one) => [one.name, one]));
  const rows = everyone.map((candidate): Assessed => {
    const dominated = beaten.get(candidate.name);
    const { why, short } = rejected.get(candidate.name) ?? { why: '', short: '' };
    return {
      candidate,
      verdicts: judge(budget, candidate.metrics, original.metrics),
      onFront: front.front.includes(candidate.name),
      chosen: candidate.name === recommendation.chosen,
      why: why !== '' && dominated ? `${why}; ${showDominated(dominated)}` : why,
      short,
    };
  });
  return { ...choice, front, recommendation, rows };
}
