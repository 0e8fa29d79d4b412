// MetaFormer: the block matters more than its token mixer.
import {
  ablations,
  hardlyMixing,
  pictureScales,
  poolingAgainstAttention,
} from './metaformer/comparison.js';
import {
  constantPicture,
  mixerSpeed,
  normError,
  parametersOf,
  permutationErrors,
  poolingError,
} from './metaformer/unit.js';
import { type MeasureContext, type Measured, system } from './system.js';

const onPictures =
  (measure: (context: MeasureContext) => Promise<Measured>) =>
  (context: MeasureContext): Promise<Measured> => {
    const { images, tests, epochs, seeds } = pictureScales[context.mode];
    context.note(
      `Fashion-MNIST, ${images} pictures, ${epochs} epochs, ${seeds} seed${seeds === 1 ? '' : 's'}, ${tests} test pictures; two stages of widths 48 and 96, LayerScale from 0.1; a variant is trained once for all claims`,
    );
    return measure(context);
  };

export default system({
  id: 41,
  slug: 'metaformer',
  family: 'block',
  paper: {
    title: 'MetaFormer Is Actually What You Need for Vision',
    authors: 'Yu, Luo, Zhou, Si, Zhou, Wang, Feng, Yan',
    venue: 'CVPR 2022',
    arxiv: '2111.11418',
  },
  claims: [
    {
      says: 'PoolFormer-S12 and M36 have the published numbers of parameters',
      paper: 'S12 12M, M36 56M (11,915,176 and 56,172,520 with 1000 classes)',
      holds: 's12 = 11915176 and m36 = 56172520',
      measure: async () => ({ s12: parametersOf('s12'), m36: parametersOf('m36') }),
    },
    {
      says: 'the pooling mixer is the mean of up to nine neighbours minus the place',
      paper: 'equation 4, padding not counted',
      holds: 'error < 1e-6',
      measure: poolingError,
    },
    {
      says: 'pooling makes nothing of a picture of one brightness',
      paper: 'the block adds the place back',
      holds: 'largest = 0',
      measure: constantPicture,
    },
    {
      says: 'the norm takes its statistics over all places and features of a picture',
      paper: 'modified layer norm, equal to group norm with one group',
      holds: 'error < 1e-5',
      measure: normError,
    },
    {
      says: 'permuted places go through identity and attention, not through pooling and random mixing',
      paper: 'attention without positions is equivariant',
      holds: 'identity = 0 and attention < 1e-5 and pooling > 0.1 and random > 0.01',
      measure: permutationErrors,
    },
    {
      says: 'pooling mixes 56 x 56 places of 64 features faster than attention',
      paper: 'linear against quadratic cost',
      holds: 'ratio >= 3',
      measure: mixerSpeed,
    },
    {
      says: 'pooling is as good as attention for less arithmetic',
      paper: 'M36: +0.3 points over DeiT-B with 50% fewer MACs',
      holds: { full: 'lost <= 0.015 and macs <= 0.7', quick: 'pooling >= 0.4 and macs <= 0.7' },
      measure: onPictures(poolingAgainstAttention),
    },
    {
      says: 'mixing nothing or at random still works',
      paper: 'S12 on ImageNet: identity 74.3, random 75.8, pooling 77.2 (recalled, not verified)',
      holds: { full: 'least >= 0.75 and lost <= 0.06' },
      measure: onPictures(hardlyMixing),
    },
    {
      says: 'without the residual paths or the channel mixer it does not',
      paper: 'S12: no residual 0.1, no channel MLP 5.7 (recalled, not verified)',
      holds: { full: 'residual >= 0.15 and channel >= 0.15' },
      measure: onPictures(ablations),
    },
  ],
});
