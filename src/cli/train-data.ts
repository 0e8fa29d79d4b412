// What a training configuration names, opened: model, objective, batches, held-out batches.
import type { Model } from '../models/model.js';
import type { CountedBatches, NumberedBatches } from '../train/batch-source.js';
import type { Objective } from '../train/objectives.js';
import type { ParameterGroup } from '../train/step.js';
import type { TrainConfig } from './train-config.js';
import { openLabelled, openPairs } from './train-rows.js';
import { openTexts } from './train-texts.js';

export type Opened = {
  model: Model;
  objective: Objective;
  batches: NumberedBatches;
  heldOut: CountedBatches | undefined;
  /** UTF-8 bytes of the held-out texts, where bits a byte make sense. */
  heldOutBytes?: number | undefined;
  classes?: readonly string[] | undefined;
  /** What learns at another rate, or not at all. */
  groups?: readonly ParameterGroup[] | undefined;
  /** Whether the objective's own parameters are written beside the model. */
  head: boolean;
  /** Of data and tokenizer, for a resumed run to be held to. */
  hashes: Record<string, string>;
  /** What was read, in words. */
  notes: readonly string[];
};

/** `given` is the model to go on from, where there is one; `teacher` the one to learn from. */
export type Models = { given: Model | undefined; teacher: Model | undefined };

/** Errors: `data/...`, `config/...`, `models/kind` for a family that cannot learn this. */
export async function openTrainData(
  config: TrainConfig,
  models: Models,
  progress: (what: string) => void,
  signal: AbortSignal,
): Promise<Opened> {
  const { objective } = config;
  switch (objective.type) {
    case 'classification':
      return await openLabelled({ ...config, objective }, models.given);
    case 'contrastive':
      return await openPairs({ ...config, objective }, models.given);
    default:
      return await openTexts(config, models, progress, signal);
  }
}
