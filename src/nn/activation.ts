// Activations by the names that Hugging Face's `hidden_act` uses, and those with trained coefficients,
// which stand at a scope of their own.
import { AnyformerError, nearest, type Tensor } from '../tensor/index.js';
import { polyNorm, polyRelu } from './polynomial.js';
import type { Scope } from './scope.js';

export const activations: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  relu: (x) => x.relu(),
  relu2: (x) => {
    const r = x.relu();
    return r.mul(r);
  },
  gelu: (x) => x.gelu(),
  gelu_new: (x) => x.geluTanh(),
  gelu_pytorch_tanh: (x) => x.geluTanh(),
  quick_gelu: (x) => x.quickGelu(),
  silu: (x) => x.silu(),
  swish: (x) => x.silu(),
  tanh: (x) => x.tanh(),
  sigmoid: (x) => x.sigmoid(),
  identity: (x) => x,
};

/** Activations with parameters. */
export const trainedActivations: Readonly<Record<string, (s: Scope, x: Tensor) => Tensor>> = {
  polyrelu: polyRelu,
  polynorm: polyNorm,
};

/** The activation of a name; one with parameters keeps them at the scope. */
export function activation(name: string, s?: Scope): (x: Tensor) => Tensor {
  if (Object.hasOwn(activations, name)) return activations[name];
  if (Object.hasOwn(trainedActivations, name)) {
    if (s) return (x) => trainedActivations[name](s, x);
    throw new AnyformerError('nn/activation', {
      what: `the activation '${name}' has parameters, and here is no place for them`,
      expected: Object.keys(activations).join(', '),
      found: name,
    });
  }
  const known = [...Object.keys(activations), ...Object.keys(trainedActivations)];
  throw new AnyformerError('nn/activation', {
    what: `there is no activation '${name}'`,
    expected: known.join(', '),
    found: name,
    hint: `did you mean ${nearest(name, known, 1)[0]}?`,
  });
}
