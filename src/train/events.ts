// What a training run tells while it goes on.
import type { Model } from '../models/model.js';
import type { Skipped } from './checkpoint.js';

export type TrainEvent =
  | {
      type: 'start';
      /** Steps done before: 0 in a new run. */
      step: number;
      steps: number;
      /** Numbers that are trained. */
      parameters: number;
      /** The checkpoint that it goes on from. */
      resumed?: string;
      /** Damaged checkpoints that were passed over. */
      skipped: readonly Skipped[];
    }
  | {
      type: 'step';
      step: number;
      loss: number;
      /** Of the gradients, before clipping. */
      norm: number;
      /** The learning rate. */
      rate: number;
      metrics: Readonly<Record<string, number>>;
      /** Of the step's batches, padding not counted. */
      tokens: number;
      seconds: number;
      tokensPerSecond: number;
    }
  | {
      type: 'evaluation';
      step: number;
      loss: number;
      metrics: Readonly<Record<string, number>>;
      /** What the loss is a mean over: tokens, or rows. */
      weight: number;
      /** No evaluation before had a lower loss. */
      best: boolean;
      seconds: number;
    }
  | { type: 'checkpoint'; step: number; path: string }
  | {
      type: 'done';
      step: number;
      /** `data`: the batches ended before the steps. */
      reason: 'steps' | 'early-stop' | 'data' | 'aborted';
      /** With the weights after the last step. */
      model: Model;
      /** The best evaluation; `path` is its checkpoint, where there is one. */
      best?: { step: number; loss: number; path?: string };
    };
