// Decoding's public names.
export { type Decoder, openDecoder } from './decoder.js';
export { type GenerateOptions, type GenerationStep, generate } from './generate.js';
export { prefillProgram, stepProgram } from './programs.js';
export { streamText, type TextStream } from './stream-text.js';
