// Writing a model for other programs.
import { exportOnnx } from '../models/export-onnx.js';
import { formatBytes } from '../optimize/format.js';
import type { Cli } from './cli.js';
import { columns } from './columns.js';
import type { ExportCommandOptions } from './commands/export.js';
import { openModel } from './open-model.js';
import { checkOutput } from './out-folder.js';
import { openTerminal } from './terminal.js';

export async function runExport(
  cli: Cli,
  name: string,
  options: ExportCommandOptions,
): Promise<void> {
  const { out, overwrite = false, json } = options;
  const terminal = openTerminal(cli, options);
  await checkOutput(out, { overwrite, manifest: 'config.json' });
  await using opened = await openModel(name, { signal: cli.signal, terminal });
  const { model } = opened;
  const files = await exportOnnx(model, out, { overwrite, signal: cli.signal });
  if (json) {
    terminal.print(`${JSON.stringify({ model: name, out, files }, null, 2)}\n`);
    return;
  }
  const rows = files.map(({ name: file, bytes }) => [`  ${file}`, formatBytes(bytes)]);
  terminal.print(`written: ${out}/\n${columns(rows, ['left', 'right'])}`);
}
