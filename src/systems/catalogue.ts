// Every system of the project: 54 papers, and one machine that was published without a paper. A system
// that is built has a file, which is loaded when it is asked for.
import { AnyformerError } from '../tensor/index.js';
import type { System } from './system.js';

export type Entry = {
  readonly id: number;
  readonly slug: string;
  readonly title: string;
  /** Absent where the system is not built. */
  readonly load?: () => Promise<{ default: System }>;
};

export const catalogue: readonly Entry[] = [
  { id: 1, slug: 'pg-td', title: 'PG-TD: Planning-Guided Transformer Decoding' },
  { id: 2, slug: 'cot-power', title: 'The Expressive Power of Transformers with Chain of Thought' },
  {
    id: 3,
    slug: 'inference-survey',
    title: 'Inference advisor (from: A Survey of Techniques for Optimizing Transformer Inference)',
  },
  { id: 4, slug: 'transformer-programs', title: 'Learning Transformer Programs' },
  { id: 5, slug: 'tnt', title: 'Transformer in Transformer (TNT)' },
  {
    id: 6,
    slug: 'icl-boolean',
    title:
      'Understanding In-Context Learning in Transformers and LLMs by Learning to Learn Discrete Functions',
  },
  {
    id: 7,
    slug: 'making-the-most',
    title: 'Making the Most of your Model: four methods for pretrained transformers',
  },
  {
    id: 8,
    slug: 'lean-attention',
    title: 'LeanAttention: stream-K attention for the decode phase',
  },
  { id: 9, slug: 'fit', title: 'FIT: Far-reaching Interleaved Transformers' },
  {
    id: 10,
    slug: 'memoryformer',
    title: 'MemoryFormer: hashed lookup tables instead of fully connected layers',
  },
  {
    id: 11,
    slug: 'algoformer',
    title: 'On the Expressive Power of a Variant of the Looped Transformer (AlgoFormer)',
  },
  {
    id: 12,
    slug: 'icl-linear',
    title: 'What learning algorithm is in-context learning? Investigations with linear models',
  },
  { id: 13, slug: 'bytetransformer', title: 'ByteTransformer: padding-free transformer inference' },
  {
    id: 14,
    slug: 'faster-lighter-survey',
    title: 'Trade-off advisor (from: A Practical Survey on Faster and Lighter Transformers)',
  },
  { id: 15, slug: 'matformer', title: 'MatFormer: nested transformer for elastic inference' },
  {
    id: 16,
    slug: 'lmuformer',
    title:
      'LMUFormer: Legendre Memory Units with convolutional patch embedding and channel mixer (dense and spiking)',
  },
  {
    id: 17,
    slug: 'nope',
    title: 'Positional encoding and length generalization (NoPE study)',
    load: () => import('./17-nope.js'),
  },
  { id: 18, slug: 'masformer', title: 'MASFormer: mixed attention spans per layer' },
  { id: 19, slug: 'sea', title: 'SEA: sparse linear attention with an estimated attention mask' },
  {
    id: 20,
    slug: 'probopt',
    title:
      'Probabilistic optimisation methods: optimal sub-word encoding, CE hyper-parameter search, RoPE x ALiBi, PrFlashAttention, staircase KV quantisation',
  },
  { id: 21, slug: 'combiner', title: 'Combiner: full attention with sparse computation cost' },
  {
    id: 22,
    slug: 'dsformer',
    title:
      'DSFormer: Effective Compression of Text-Transformers by Dense-Sparse Weight Factorization',
  },
  {
    id: 23,
    slug: 'bct',
    title: 'BCT: Blockwise Compression of Transformer-based Models without Retraining',
  },
  {
    id: 24,
    slug: 'slicegpt',
    title: 'SliceGPT: Compress Large Language Models by Deleting Rows and Columns',
  },
  {
    id: 25,
    slug: 'tensor-attention',
    title: 'Tensor (Kronecker) attention: third- and higher-order softmax attention',
  },
  {
    id: 26,
    slug: 'nprf-rpe',
    title: 'Kernelized attention with relative positions via FFT (NPRF + RPE)',
  },
  {
    id: 27,
    slug: 'compression-advisor',
    title:
      'Compression advisor (from: Model Compression and Efficient Inference for Large Language Models: A Survey)',
  },
  {
    id: 28,
    slug: 'scan-and-snap',
    title:
      'Scan and Snap: Understanding Training Dynamics and Token Composition in 1-layer Transformer',
  },
  { id: 29, slug: 'urpe', title: 'URPE attention: universal relative positional encoding' },
  { id: 30, slug: 'mp3', title: 'MP3: position prediction as pretraining' },
  { id: 31, slug: 'ecoformer', title: 'EcoFormer: binary kernelized-hashing attention' },
  {
    id: 32,
    slug: 'unified-million',
    title: 'Unified view of long-sequence models and distributed multi-head attention',
  },
  { id: 33, slug: 'att-svm', title: 'Transformers as Support Vector Machines' },
  {
    id: 34,
    slug: 'task-coverage',
    title:
      'Task coverage (from: A Comprehensive Survey on Applications of Transformers for Deep Learning Tasks)',
  },
  {
    id: 35,
    slug: 'aggressive-decoding',
    title: 'Aggressive Decoding: IAD and GAD (lossless seq2seq acceleration)',
  },
  { id: 36, slug: 'mue', title: 'MuE: multiple exiting for unified encoder-decoder models' },
  {
    id: 37,
    slug: 'informer',
    title: 'Informer: ProbSparse attention for long time-series forecasting',
  },
  {
    id: 38,
    slug: 'extractors',
    title: 'Extractors: SHE, HE, WE, ME replacements for self-attention',
  },
  { id: 39, slug: 'sret', title: 'SReT: Sliced Recursive Transformer' },
  {
    id: 40,
    slug: 'lora',
    title:
      'Computational Limits of Low-Rank Adaptation (LoRA) for Transformer-Based Models — and plain LoRA',
  },
  {
    id: 41,
    slug: 'metaformer',
    title: 'MetaFormer and PoolFormer',
    load: () => import('./41-metaformer.js'),
  },
  {
    id: 42,
    slug: 'polycom',
    title: 'PolyCom: polynomial composition activations (PolyReLU, PolyNorm)',
    load: () => import('./42-polycom.js'),
  },
  {
    id: 43,
    slug: 'return-of-the-encoder',
    title:
      'Return of the Encoder: encoder-decoder small language models with cross-architecture distillation',
  },
  {
    id: 44,
    slug: 'ia-red2',
    title: 'IA-RED^2: Interpretability-Aware Redundancy Reduction for Vision Transformers',
  },
  {
    id: 45,
    slug: 'icl-newton',
    title:
      'Transformers Learn Higher-Order Optimization Methods for In-Context Learning: A Study with Linear Models',
  },
  {
    id: 46,
    slug: 'axformer',
    title:
      'AxFormer: Accuracy-driven Approximation of Transformers for Faster, Smaller and more Accurate NLP Models',
  },
  { id: 47, slug: 'transcoders', title: 'Transcoders Find Interpretable LLM Feature Circuits' },
  {
    id: 48,
    slug: 'multiplication',
    title: 'Dissecting Multiplication in Transformers: Insights into LLMs',
  },
  { id: 49, slug: 'learning-to-search', title: 'Transformers Struggle to Learn to Search' },
  { id: 50, slug: 'llm-fp4', title: 'LLM-FP4: 4-Bit Floating-Point Quantized Transformers' },
  {
    id: 51,
    slug: 'vtrans',
    title:
      'VTrans: Accelerating Transformer Compression with Variational Information Bottleneck based Pruning',
  },
  {
    id: 52,
    slug: 'codebook-features',
    title: 'Codebook Features: Sparse and Discrete Interpretability for Neural Networks',
  },
  { id: 53, slug: 'lra', title: 'Long Range Arena (LRA)' },
  {
    id: 54,
    slug: 'hidden-transfer',
    title: 'Hidden Transfer: parallel decoding by pseudo hidden states',
  },
  {
    id: 55,
    slug: 'transformer-machine',
    title: 'Transformer machine (programs executed inside transformer weights)',
  },
];

export type BuiltEntry = Entry & { readonly load: () => Promise<{ default: System }> };
export const isBuilt = (entry: Entry): entry is BuiltEntry => entry.load !== undefined;

/** Two digits, as systems are called: `07`. */
export const numberOf = ({ id }: { readonly id: number }): string => String(id).padStart(2, '0');

const range = (ids: readonly Entry[]): string => ids.map(numberOf).join(', ');

/**
 * The systems of a list such as `17,42`; those that are built when none is given. Errors:
 * `usage/system` for a number that is in no catalogue or whose system is not built.
 */
export function chosen(list?: string): BuiltEntry[] {
  const built = catalogue.filter(isBuilt);
  if (list === undefined) return built;
  const ids = list.split(',').map((text) => {
    const name = text.trim();
    const entry = catalogue.find(({ id, slug }) =>
      /^[0-9]+$/.test(name) ? id === Number(name) : slug === name,
    );
    if (entry && isBuilt(entry)) return entry;
    throw new AnyformerError('usage/system', {
      what: entry
        ? `system ${numberOf(entry)} (${entry.title}) is not built yet`
        : `there is no system '${name}'`,
      expected: `systems that are built: ${range(built)}`,
      found: name,
    });
  });
  return [...new Set(ids)];
}
