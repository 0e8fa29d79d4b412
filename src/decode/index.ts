// Decoding's public names.
export { crossStepProgram, memoryProgram } from './cross-programs.js';
export { type Decoder, openDecoder, type Prompt } from './decoder.js';
export { type GenerateOptions, type GenerationStep, generate } from './generate.js';
export { prefillProgram, stepProgram } from './programs.js';
export { streamText, type TextStream } from './stream-text.js';
export { type TranscribedPiece, type TranscribeOptions, transcribe } from './transcribe.js';
