// Activations by the names that Hugging Face's `hidden_act` uses.
import { AnyformerError, nearest, type Tensor } from '../tensor/index.js';

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

export function activation(name: string): (x: Tensor) => Tensor {
  if (Object.hasOwn(activations, name)) return activations[name];
  throw new AnyformerError('nn/activation', {
    what: `there is no activation '${name}'`,
    expected: Object.keys(activations).join(', '),
    found: name,
    hint: `did you mean ${nearest(name, Object.keys(activations), 1)[0]}?`,
  });
}
