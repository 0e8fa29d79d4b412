// `export`: a model for other programs.
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared } from '../options.js';

export type ExportCommandOptions = {
  to: 'onnx';
  out: string;
  overwrite?: boolean;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Writes a folder with the names that transformers.js looks for: config.json,
tokenizer.json, tokenizer_config.json and onnx/model.onnx; beyond 1.5 GB of
weights also onnx/model.onnx_data.
Inputs: input_ids and attention_mask, int64 [batch, seq].
Output: sentence_embedding [batch, width] of text encoders; of language models
logits [batch, seq, vocabulary].
The graph uses operators of ONNX Runtime (com.microsoft) beside the standard's.`;

export function registerExport(program: Command, cli: Cli): void {
  const command = program
    .command('export')
    .summary('write a model for other programs')
    .argument('<model>', 'use-lite, a model folder or a TinyStories .bin file')
    .usage('MODEL --to onnx --out FOLDER [options]')
    .addOption(new Option('--to <format>', 'the format').choices(['onnx']).makeOptionMandatory())
    .requiredOption('--out <folder>', 'the folder to write')
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
      'a compressed model for ONNX Runtime',
      'export anyformer-out/start/model --to onnx --out for-onnx',
    ],
  ]);
}
