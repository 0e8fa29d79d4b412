// Writing a model for other programs.
import { exists, readRange } from '#platform';
import { exportOnnx } from '../models/export-onnx.js';
import { exportSafetensors, type FloatType, floatTypes } from '../models/export-safetensors.js';
import { exportGguf, type GgufFileType, ggufFileTypes } from '../models/gguf/export.js';
import type { Model } from '../models/model.js';
import type { QualityRecord } from '../models/quality.js';
import { formatBytes } from '../optimize/format.js';
import { AnyformerError, nearest } from '../tensor/error.js';
import type { Cli } from './cli.js';
import { columns } from './columns.js';
import type { ExportCommandOptions } from './commands/export.js';
import { fewerBits, makeVariants } from './export-variants.js';
import { openModel } from './open-model.js';
import { checkOutput } from './out-folder.js';
import { openTerminal, type Terminal } from './terminal.js';

type Made = {
  files: readonly { name: string; bytes: number; sha256: string }[];
  /** Of ONNX graphs in fewer bits, by type. */
  quality?: Readonly<Record<string, QualityRecord>>;
};

type Job = { cli: Cli; options: ExportCommandOptions; terminal: Terminal };

type Format = {
  types: readonly string[];
  /** Whether several types may be asked for at once. */
  several?: boolean;
  /** Refuses the output before the work. */
  check(out: string, overwrite: boolean): Promise<void>;
  write(model: Model, types: readonly string[], job: Job): Promise<Made>;
};

const folder = (out: string, overwrite: boolean) =>
  checkOutput(out, { overwrite, manifest: 'config.json' });

const writers: Readonly<Record<ExportCommandOptions['format'], Format>> = {
  onnx: {
    types: ['fp32', ...Object.keys(fewerBits)],
    several: true,
    check: folder,
    async write(model, types, { cli, options, terminal }) {
      const { out, overwrite } = options;
      const wanted = types.filter((type) => type !== 'fp32') as (keyof typeof fewerBits)[];
      const variants = await makeVariants(cli, model, wanted, options, terminal);
      const { signal } = cli;
      const files = await exportOnnx(model, out, { overwrite, signal, variants });
      const records = [...variants].flatMap(([type, { quality }]) =>
        quality ? [[type, quality] as const] : [],
      );
      return records.length === 0 ? { files } : { files, quality: Object.fromEntries(records) };
    },
  },
  gguf: {
    types: Object.keys(ggufFileTypes),
    check: checkGgufOutput,
    async write(model, [type], { cli: { signal }, options: { out } }) {
      const written = await exportGguf(model, out, { type: type as GgufFileType, signal });
      return { files: [{ name: out, ...written }] };
    },
  },
  safetensors: {
    types: Object.keys(floatTypes),
    check: folder,
    async write(model, [type], { cli: { signal }, options: { out, overwrite, shard } }) {
      const options = { type: type as FloatType, shardBytes: shard, overwrite, signal };
      return { files: await exportSafetensors(model, out, options) };
    },
  },
};

export async function runExport(
  cli: Cli,
  name: string,
  options: ExportCommandOptions,
): Promise<void> {
  const { format, out, overwrite = false } = options;
  const terminal = openTerminal(cli, options);
  const types = checkTypes(options);
  await writers[format].check(out, overwrite);
  await using opened = await openModel(name, { signal: cli.signal, terminal });
  const made = await writers[format].write(opened.model, types, { cli, options, terminal });
  terminal.clear();
  if (options.json) {
    terminal.print(`${JSON.stringify({ model: name, format, types, out, ...made }, null, 2)}\n`);
    return;
  }
  const rows = made.files.map(({ name: file, bytes }) => [`  ${file}`, formatBytes(bytes)]);
  const qualities = Object.entries(made.quality ?? {}).map(([type, { metrics }]) => {
    const values = Object.entries(metrics).map(([metric, { after }]) => `${metric} ${after}`);
    return `  ${type}: ${values.join(', ')}\n`;
  });
  const place = format === 'gguf' ? '' : `${out}/\n`;
  terminal.print(`written: ${place}${columns(rows, ['left', 'right'])}${qualities.join('')}`);
}

/** Errors: `export/type`, which names what the format takes. */
function checkTypes({ format, type: types = [] }: ExportCommandOptions): readonly string[] {
  const { types: known, several = false } = writers[format];
  const wrong = types.find((type) => !known.includes(type));
  if (wrong === undefined && (several || types.length <= 1)) return [...new Set(types)];
  throw new AnyformerError('export/type', {
    what: wrong === undefined ? `${format} takes one type` : `${format} has no type '${wrong}'`,
    expected: `${several ? 'some' : 'one'} of ${known.join(', ')}`,
    found: types.join(', '),
    hint: wrong === undefined ? undefined : `did you mean ${nearest(wrong, known, 1)[0]}?`,
  });
}

/** One file, which replaces another of its kind only when told. */
async function checkGgufOutput(out: string, overwrite: boolean): Promise<void> {
  if (!/\.gguf$/i.test(out)) {
    throw new AnyformerError('export/out', {
      what: `--out ${out}: a GGUF model is one file`,
      expected: 'a name that ends in .gguf',
      found: out,
      hint: `--out ${out.replace(/[/\\]+$/, '')}.gguf`,
    });
  }
  if (!(await exists(out))) return;
  const isGguf = await startsWithGguf(out);
  if (overwrite && isGguf) return;
  throw new AnyformerError(overwrite ? 'file/protected' : 'file/exists', {
    what: overwrite ? `${out}: will not replace what is no GGUF file` : `${out}: the file exists`,
    expected: overwrite ? 'a GGUF file, or nothing' : 'a new name',
    found: isGguf ? 'a GGUF file' : 'something else',
    hint: overwrite
      ? 'remove it yourself or name another with --out'
      : 'name another with --out, or replace this one with --overwrite',
  });
}

async function startsWithGguf(path: string): Promise<boolean> {
  try {
    return new TextDecoder().decode(await readRange(path, 0, 4)) === 'GGUF';
  } catch (error) {
    // A folder, or a file of fewer bytes.
    if (error instanceof AnyformerError && error.code.startsWith('file/')) return false;
    throw error;
  }
}
