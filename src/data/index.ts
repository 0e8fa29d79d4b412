// Data: text and labels from files, tokenizers trained here, batches as functions of (seed, step).
export { trainBpe } from './bpe.js';
export { byteTokenizer, endOfText, vocabularySize } from './byte-level.js';
export { type Corpus, readCorpus } from './corpus.js';
export { type DocumentRule, readDocuments } from './documents.js';
export { readLabelled } from './labelled.js';
export { readLines, readTexts } from './lines.js';
export { maskedBatches } from './masking.js';
export { orderedBatches, packedBatches, type TokenBatch, type TokenBatches } from './packed.js';
export { paddedBatches } from './padded.js';
export { type SourcesAndTargets, sourceTargetBatches } from './source-target.js';
export { type Labelled, sampleLabelled, sampleTexts, splitLabelled } from './split.js';
