// What a file may ask of its reader, and how errors quote names that come from a file.
import { AnyformerError, type ErrorParts } from '../tensor/error.js';

export type Limits = {
  /** Nodes in all graphs of the file. */
  nodes: number;
  /** Graphs inside graphs (`If`, `Loop`, `Scan`). */
  graphDepth: number;
  /** Memory that the parsed structure may take, estimated before it is built; raw weights are views and free. */
  structureBytes: number;
  /** Dimensions of one tensor. */
  rank: number;
  /** Bytes of all initializers together, external ones included. */
  initializerBytes: number;
};

export const defaultLimits: Limits = {
  nodes: 200_000,
  graphDepth: 8,
  structureBytes: 2 ** 30,
  rank: 32,
  initializerBytes: 2 ** 40,
};

/** A name from a file, safe to print: control characters escaped, cut at 80. */
export const quote = (name: string): string =>
  JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);

export const onnxError = (code: string, parts: ErrorParts): AnyformerError =>
  new AnyformerError(`onnx/${code}`, parts);
