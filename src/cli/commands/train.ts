// `train`: a model from a configuration file, from fresh weights or from given ones; resumable.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared } from '../options.js';

export type TrainCommandOptions = {
  resume?: boolean;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
CONFIG is a JSON file; paths in it are relative to it:
  {
    "model": {"model_type": "llama", "hidden_size": 256, "intermediate_size": 640,
              "num_hidden_layers": 6, "num_attention_heads": 8},
    "tokenizer": {"type": "bpe", "vocabulary": 4096},
    "data": {"train": ["speeches.txt"], "heldOut": 0.05, "documents": "line"},
    "optimizer": {"type": "adamw", "rate": 1e-3, "decay": 0.1, "clip": 1},
    "schedule": {"type": "cosine", "warmup": 100, "floor": 0.1},
    "steps": 2000, "batch": 8, "sequence": 256,
    "evaluate": {"every": 200}, "checkpoint": {"every": 200, "keep": 3},
    "out": "runs/speeches"
  }
model      a config.json's contents for fresh weights, or a folder to go on from
tokenizer  bpe (learned from the training texts), bytes, or a tokenizer.json;
           none where the model has one
data       train: text files, folders of .txt files, or data sets such as
           {"dataset": "sotu"} (see "anyformer data"); heldOut: a share of the
           documents, or files, folders, {"dataset": "sotu", "last": 12}, which are
           not learned from; documents: line, file, or {"separator": "a line"}
objective  {"type": "causal-lm"} unless told; "distillation" with a "teacher"
           folder; for encoders "masked-lm", "classification" (a .tsv of labels
           and texts), "contrastive" (a .tsv of two texts that belong together)
optimizer  adamw, sgd, lion, adafactor
schedule   cosine, linear, inverse-square-root, constant
recompute  true computes blocks again for the gradient instead of keeping their
           activations: less than half of that memory, for about a quarter of
           the time more

Written under "out": model/ (loads in every command), checkpoints/, metrics.jsonl,
report.html (the loss curve, while it runs) and training.json. Ctrl-C finishes the
step and keeps a checkpoint; --resume goes on from the newest whole one, to the
bit. With --json one line an event.`;

export function registerTrain(program: Command, cli: Cli): void {
  const command = program
    .command('train')
    .summary('train a model on texts')
    .argument('<config>', 'a JSON file that says what to train, on what, and how')
    .usage('CONFIG [--resume] [options]')
    .option('--resume', 'go on from the newest whole checkpoint')
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (config: string, options: TrainCommandOptions) => {
      const { runTrain } = await import('../train-run.js');
      await runTrain(cli, config, options);
    });
  examples(command, [
    ['begin', 'train speeches.json'],
    ['go on after an interruption', 'train speeches.json --resume'],
  ]);
}
