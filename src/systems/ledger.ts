// The ledger: what every claim gave when it was last measured, in each mode, with what has to be known
// to judge the figure. A JSON file; results that are measured again replace what stood there.

import { z } from 'zod';
import { exists, readFile, writeAtomic } from '#platform';
import { AnyformerError } from '../tensor/index.js';

const machine = z.strictObject({
  cpu: z.string(),
  cores: z.number(),
  platform: z.string(),
  runtime: z.string(),
  device: z.string(),
  threads: z.number(),
});
export type Machine = z.output<typeof machine>;

/** JSON has no infinities and no NaN; a figure that is none of a number is null there. */
const figure = z.union([z.number(), z.null().transform(() => Number.NaN)]);

const record = z.strictObject({
  /** `17`. */
  system: z.string().regex(/^\d\d$/),
  claim: z.string(),
  paper: z.string(),
  /** Figures by name; null where nothing could be measured. */
  measured: z.record(z.string(), figure).nullable(),
  threshold: z.string(),
  holds: z.boolean(),
  seconds: z.number(),
  notes: z.array(z.string()),
  mode: z.enum(['quick', 'full']),
  seed: z.number(),
  version: z.string(),
  /** Day of the measurement, YYYY-MM-DD. */
  date: z.string(),
  machine,
});
export type LedgerRecord = z.output<typeof record>;

const ledger = z.strictObject({ records: z.array(record) });

/** The records of a ledger's text. Errors: `systems/ledger`. */
export function parseLedger(text: string, file: string): LedgerRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken(file, 'text that is no JSON', cause);
  }
  const parsed = ledger.safeParse(value);
  if (parsed.success) return parsed.data.records;
  const [{ path, message }] = parsed.error.issues;
  throw broken(file, `${path.join('.')}: ${message}`, parsed.error);
}

const broken = (file: string, found: string, cause: unknown) =>
  new AnyformerError('systems/ledger', {
    what: `${file} is not a ledger`,
    expected: 'a file that anyformer reproduce wrote',
    found,
    hint: 'move it away, or name another file with --ledger',
    cause,
  });

const place = ({ system, claim, mode }: LedgerRecord): string =>
  JSON.stringify([system, claim, mode]);

/** `fresh` over `old`, one record a claim and mode, by system; claims in the order they came. */
export function merged(
  old: readonly LedgerRecord[],
  fresh: readonly LedgerRecord[],
): LedgerRecord[] {
  const all = new Map([...old, ...fresh].map((one) => [place(one), one]));
  return [...all.values()].sort((a, b) => Number(a.system) - Number(b.system));
}

export const ledgerText = (records: readonly LedgerRecord[]): string =>
  `${JSON.stringify({ records }, null, 2)}\n`;

/** Reads the ledger at a path; none is an empty one. */
export async function readLedger(path: string): Promise<LedgerRecord[]> {
  if (!(await exists(path))) return [];
  return parseLedger(new TextDecoder().decode(await readFile(path)), path);
}

/** Adds records to the ledger at a path, whole or not at all. */
export async function addToLedger(path: string, fresh: readonly LedgerRecord[]): Promise<void> {
  const text = ledgerText(merged(await readLedger(path), fresh));
  await writeAtomic(path, [new TextEncoder().encode(text)]);
}
