// Errors as the user sees them: the code, what is wrong, expected, found, what to do. A stack only
// when ANYFORMER_DEBUG is set in the environment.
import { AnyformerError } from '../tensor/error.js';
import { EXIT } from './cli.js';

/** Codes, or beginnings of codes, of what the user can put right in the command or in its files. */
const USAGE =
  /^(usage|budget|data|config)\/|^compress\/(option|unknown-pass|chain|order)$|^decode\/option$|^models\/unknown-family$/;

export const exitCodeOf = (error: unknown): number =>
  error instanceof AnyformerError && USAGE.test(error.code) ? EXIT.usage : EXIT.failed;

/** The error for standard error, ending in a line end. */
export async function showError(error: unknown): Promise<string> {
  if (process.env.ANYFORMER_DEBUG) {
    const { inspect } = await import('node:util');
    return `${inspect(error)}\n`;
  }
  if (error instanceof AnyformerError) return `error ${error.code}: ${printable(error.message)}\n`;
  const message = error instanceof Error ? error.message : String(error);
  return `error: ${printable(message)}\n  to do:    this is a fault of the program; ANYFORMER_DEBUG=1 shows where it happened\n`;
}

// File names, labels and tensor names may hold anything; control characters would move the cursor.
const printable = (text: string): string => text.replace(/[^\P{Cc}\n]/gu, '?');
