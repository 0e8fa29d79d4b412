// PoolFormer checkpoints under the three sets of names they are published in: the authors', timm's and
// Hugging Face's. The linear maps of the channel mixer are 1x1 convolutions there: the same numbers
// with two more axes of size 1.
import type { NDArray } from '../../tensor/index.js';
import { memoryStore, type WeightStore } from '../checkpoint.js';

const cutOf = (stage: string): string =>
  stage === '0' ? 'patch_embed.proj' : `network.${2 * Number(stage) - 1}.proj`;
const blockOf = (stage: string, block: string): string => `network.${2 * Number(stage)}.${block}`;

type Rule = readonly [pattern: RegExp, name: (...groups: string[]) => string];

const rules: readonly Rule[] = [
  // timm
  [/^stem\.conv$/, () => cutOf('0')],
  [/^stages\.(\d+)\.downsample\.conv$/, cutOf],
  [
    /^stages\.(\d+)\.blocks\.(\d+)\.layer_scale([12])\.scale$/,
    (i, j, k) => `${blockOf(i, j)}.layer_scale_${k}`,
  ],
  [/^stages\.(\d+)\.blocks\.(\d+)\.(.+)$/, (i, j, rest) => `${blockOf(i, j)}.${rest}`],
  [/^head\.norm$/, () => 'norm'],
  [/^head\.fc$/, () => 'head'],
  // Hugging Face
  [/^poolformer\.encoder\.patch_embeddings\.(\d+)\.projection$/, cutOf],
  [/^poolformer\.encoder\.block\.(\d+)\.(\d+)\.before_norm$/, (i, j) => `${blockOf(i, j)}.norm1`],
  [/^poolformer\.encoder\.block\.(\d+)\.(\d+)\.after_norm$/, (i, j) => `${blockOf(i, j)}.norm2`],
  [
    /^poolformer\.encoder\.block\.(\d+)\.(\d+)\.output\.conv([12])$/,
    (i, j, k) => `${blockOf(i, j)}.mlp.fc${k}`,
  ],
  [
    /^poolformer\.encoder\.block\.(\d+)\.(\d+)\.(layer_scale_[12])$/,
    (i, j, rest) => `${blockOf(i, j)}.${rest}`,
  ],
  [/^classifier$/, () => 'head'],
];

/** The name in our (the authors') layout of a tensor in any of the three. */
export function poolformerName(name: string): string {
  const [, module, ending = ''] = /^(.*?)(\.weight|\.bias)?$/.exec(name) ?? [];
  if (module === undefined) return name;
  for (const [pattern, rename] of rules) {
    const found = pattern.exec(module);
    if (found) return rename(...found.slice(1)) + ending;
  }
  return name;
}

const isPerceptron = (name: string): boolean => /\.mlp\.fc[12]\.weight$/.test(name);

/** Without the axes of size 1 that a convolution's weight has. */
const flat = ({ dtype, shape, data }: NDArray): NDArray => ({
  dtype,
  shape: shape.slice(0, 2),
  data,
});

/** The weights of a checkpoint in any of the three layouts, as our family reads them. */
export async function poolformerWeights(store: WeightStore): Promise<WeightStore> {
  const arrays = new Map<string, NDArray>();
  for (const stored of store.names()) {
    const name = poolformerName(stored);
    const array = await store.read(stored);
    arrays.set(name, isPerceptron(name) && array.shape.length === 4 ? flat(array) : array);
  }
  return memoryStore(arrays);
}
