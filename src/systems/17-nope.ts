// Positional encoding and length generalisation: five schemes compared, none of them best.

import { extraParameters, stepTimeRatio } from './nope/cost.js';
import { alibiConventions, bucketMismatches, rotaryShift, schemeErrors } from './nope/exactness.js';
import { compareSchemes, type Scale } from './nope/length.js';
import { scratchpadMismatches } from './nope/scratchpad.js';
import { disagreements } from './nope/tasks.js';
import { distanceError, placeError } from './nope/theorems.js';
import { type MeasureContext, system } from './system.js';

const scales: Readonly<Record<MeasureContext['mode'], Scale>> = {
  quick: {
    width: 64,
    layers: 2,
    batch: 32,
    steps: 300,
    rate: 2e-3,
    seen: 8,
    longest: 16,
    tests: 40,
  },
  full: {
    width: 128,
    layers: 4,
    batch: 32,
    steps: 700,
    rate: 1e-3,
    seen: 20,
    longest: 40,
    tests: 60,
  },
};

export default system({
  id: 17,
  slug: 'nope',
  family: 'position',
  paper: {
    title: 'The Impact of Positional Encoding on Length Generalization in Transformers',
    authors: 'Kazemnejad, Padhi, Natesan Ramamurthy, Das, Reddy',
    venue: 'NeurIPS 2023',
    arxiv: '2305.19466',
  },
  claims: [
    {
      says: 'sinusoids, T5 biases, ALiBi and partial rotations are their definitions',
      paper: 'definitions of section 2',
      holds: 'sinusoid < 1e-5 and t5 < 1e-5 and alibi < 1e-5 and rotary < 1e-5',
      measure: schemeErrors,
    },
    {
      says: 'rotary scores depend on the distance of query and key alone',
      paper: 'relative by construction',
      holds: 'shift < 1e-4',
      measure: rotaryShift,
    },
    {
      says: 'both conventions of ALiBi give the same attention weights',
      paper: 'equal after the softmax',
      holds: 'difference < 1e-6',
      measure: alibiConventions,
    },
    {
      says: 'T5 distances 0..300 fall into the buckets of its table',
      paper: '32 buckets up to distance 128',
      holds: 'mismatches = 0',
      measure: async () => bucketMismatches(),
    },
    {
      says: 'without positions, one causal layer writes every place 1..64 into the stream',
      paper: 'theorem 1: absolute positions are recovered',
      holds: 'error < 1e-3',
      measure: (context) => placeError(context),
    },
    {
      says: 'a second layer has scores of content plus distance',
      paper: 'theorem 2: relative positions are implemented',
      holds: 'error < 1e-3',
      measure: distanceError,
    },
    {
      says: 'without the causal mask the same weights know no places',
      paper: 'the mask is the only signal of order',
      holds: 'error >= 1',
      measure: (context) => placeError(context, false),
    },
    {
      says: 'no positions cost no parameters and no time of a training step',
      paper: 'nothing is computed for positions',
      holds: { full: 'parameters = 0 and time <= 1.02', quick: 'parameters = 0' },
      measure: async (context) => {
        const scale = scales[context.mode];
        const rounds = context.mode === 'quick' ? 3 : 20;
        return {
          parameters: extraParameters(scale),
          time: await stepTimeRatio(context, scale, rounds),
        };
      },
    },
    {
      says: 'every generated task is solved alike by an independent solver',
      paper: 'datasets of section 3',
      holds: 'wrong = 0',
      measure: async ({ seed, mode }) => disagreements(mode === 'quick' ? 200 : 1000, seed),
    },
    {
      says: 'scratchpads come back from their text in all 32 formats',
      paper: 'five parts of a step, on or off',
      holds: 'mismatches = 0',
      measure: async () => scratchpadMismatches(),
    },
    {
      says: 'no positions copy a repeated token at unseen lengths better than absolute and rotary ones',
      paper: 'rsc, unseen lengths: none .986, T5 .771, ALiBi .289, rotary .000, absolute .000',
      holds: { full: 'seen >= 0.95 and gap >= 0.25 and absolute <= 0.1' },
      measure: (context) => {
        const scale = scales[context.mode];
        const { width, layers, steps, batch, seen, longest } = scale;
        context.note(
          `one seed, ${layers} layers of ${width}, ${steps} steps of ${batch}; trained on lengths 2..${seen}, tested up to ${longest}`,
        );
        return compareSchemes(context, scale);
      },
    },
  ],
});
