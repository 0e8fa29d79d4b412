// Polynomial composition activations: exact where they should be, and better by loss?
import { powerError, productError, reluProductError } from './polycom/algebra.js';
import { approximation } from './polycom/approximation.js';
import { languageLosses, languageScales } from './polycom/language.js';
import {
  activationCost,
  gradientErrors,
  reluDifferences,
  scaling,
  valueErrors,
} from './polycom/unit.js';
import { system } from './system.js';

export default system({
  id: 42,
  slug: 'polycom',
  family: 'activation',
  paper: {
    title: 'Polynomial Composition Activations: Unleashing the Dynamics of Large Language Models',
    authors: 'Zhuo, Wang, Zeng, Li, Zhou, Ma',
    venue: 'ICLR 2025',
    arxiv: '2411.03884',
  },
  claims: [
    {
      says: 'PolyReLU and PolyNorm are their definitions on [-5, 5]',
      paper: 'equations of section 2',
      holds: 'polyrelu < 1e-5 and polynorm < 1e-5',
      measure: valueErrors,
    },
    {
      says: 'their gradients are those of the definitions, coefficients included',
      paper: 'differentiable by construction',
      holds: 'polyrelu < 1e-3 and polynorm < 1e-3',
      measure: gradientErrors,
    },
    {
      says: 'PolyReLU with coefficients 0, 1, 0, 0 is ReLU to the bit',
      paper: 'ReLU is a special case',
      holds: 'differences = 0',
      measure: reluDifferences,
    },
    {
      says: 'two layers of PolyReLU multiply two numbers in [-10, 10]',
      paper: 'products are exact',
      holds: 'error < 1e-4',
      measure: productError,
    },
    {
      says: 'three squarings of PolyReLU give the eighth power',
      paper: 'polynomials of degree d in depth log d',
      holds: 'error < 1e-5',
      measure: powerError,
    },
    {
      says: 'a ReLU net of the same size cannot multiply',
      paper: 'ReLU nets approximate products only',
      holds: 'error > 1e-2',
      measure: reluProductError,
    },
    {
      says: 'sixteen PolyCom units fit a smooth curve better than ReLU and GELU',
      paper: 'optimal approximation rate for Sobolev functions',
      holds: { full: 'of_relu <= 0.5 and of_gelu <= 0.8' },
      measure: approximation,
    },
    {
      says: 'PolyNorm ignores the scale of its input, PolyReLU grows with its cube',
      paper: 'normalised powers',
      holds: 'polynorm < 0.01 and polyrelu >= 2.5',
      measure: scaling,
    },
    {
      says: 'a training step of a perceptron needs hardly more memory with PolyNorm than with GELU',
      paper: 'powers are computed again, not kept',
      holds: 'bytes <= 1.3',
      measure: activationCost,
    },
    {
      says: 'a byte language model with PolyNorm ends below GELU and not above SwiGLU',
      paper: '1.3B parameters, 100B tokens: lower loss than SwiGLU and GELU',
      holds: { full: 'below_gelu >= 0.01 and above_swiglu <= 0.005', quick: 'below_gelu >= 0' },
      measure: (context) => {
        const { width, layers, steps, batch, sequence, seeds } = languageScales[context.mode];
        context.note(
          `Moby-Dick by bytes, ${layers} layers of ${width}, ${steps} steps of ${batch} x ${sequence}, ${seeds} seed${seeds === 1 ? '' : 's'}; equal parameters`,
        );
        return languageLosses(context);
      },
    },
  ],
});
