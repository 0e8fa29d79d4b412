// `export`: a model for other programs.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Cli } from '../cli.js';
import { examples, floor, shared } from '../options.js';
import { DATA_HELP } from './optimize.js';

export const formats = ['onnx', 'gguf', 'safetensors'] as const;

export type ExportCommandOptions = {
  format: (typeof formats)[number];
  type?: string[];
  out: string;
  data?: string;
  floor?: Record<string, number>;
  shard?: number;
  threads?: number;
  overwrite?: boolean;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Formats, and what --type takes:
  onnx         a folder that transformers.js loads as it is: onnx/model.onnx,
               and with --type q8, int8 or q4 (several, joined by commas) also
               model_quantized.onnx, model_int8.onnx, model_q4.onnx; what they
               lose is measured and written along. Language models are one graph
               with its cache, encoder-decoders two. Operators of ONNX Runtime
               (com.microsoft) beside the standard's.
  gguf         one file for llama.cpp: f32, f16 (default), bf16, q8_0 or q4_0;
               of Llama, Mistral, Qwen 2, Qwen 3 and GPT-2, with tokenizer
  safetensors  a plain folder, dense: f32, f16 or bf16 (default: as stored), cut
               into files of --shard bytes

${DATA_HELP}`;

/** `5GB`, `200MB`, `1000`. */
export function byteCount(value: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)B?$/i.exec(value.trim()) ?? [];
  const bytes = Number(number) * 1000 ** ' KMGT'.indexOf(unit.toUpperCase() || ' ');
  if (bytes >= 1) return Math.floor(bytes);
  throw new InvalidArgumentError('Expected a number of bytes, as in 5GB or 200MB.');
}

export function registerExport(program: Command, cli: Cli): void {
  const command = program
    .command('export')
    .summary('write a model for other programs')
    .argument('<model>', 'use-lite, a model folder, a Hub model or a TinyStories .bin file')
    .usage('MODEL --to FORMAT --out PATH [options]')
    .addOption(
      new Option('--to, --format <format>', 'the format').choices(formats).makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'the folder to write; of gguf the file')
    .addOption(
      new Option('--type <types>', 'types of the weights (see below)').argParser((text) =>
        text.split(',').map((one) => one.trim().toLowerCase()),
      ),
    )
    .option('--data <file>', 'texts to measure on (default: some that come with anyformer)')
    .option(
      '--floor <metric=value>',
      'least quality of onnx in fewer bits; may be given again',
      floor,
    )
    .addOption(
      new Option('--shard <bytes>', 'most bytes of one safetensors file (default: 5GB)').argParser(
        byteCount,
      ),
    )
    .addOption(shared.threads())
    .addOption(shared.overwrite())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, options: ExportCommandOptions) => {
      const { runExport } = await import('../export-run.js');
      await runExport(cli, model, options);
    });
  examples(command, [
    [
      'a compressed model for ONNX Runtime and transformers.js',
      'export anyformer-out/start/model --to onnx --out for-onnx',
    ],
    ['the same model in three sizes', 'export small --to onnx --type q8,q4 --out for-web'],
    ['8 bits for llama.cpp', 'export stories260K.bin --to gguf --type q8_0 --out stories.gguf'],
  ]);
}
