// The main job, as `optimize` and `start` run it: check everything that can be checked first, measure,
// print, write the folder whole.
//
//   OUT/model/        the chosen model; it loads again. With onnx/model.onnx where that is small
//   OUT/report.html   what was tried, what was chosen and why
import { writeFolder } from '#platform';
import { parseChain } from '../compress/registry.js';
import { onnxFiles } from '../models/export-onnx.js';
import { checkQuality, modelFiles } from '../models/folder.js';
import { isEncoder, type Model, storedBytes } from '../models/model.js';
import { parseBudget, showBudget } from '../optimize/budget.js';
import { type Optimized, optimize } from '../optimize/optimize.js';
import { type ReportData, renderReport, reportJson } from '../optimize/report.js';
import { renderTable } from '../optimize/table.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { type Cli, EXIT } from './cli.js';
import { describeData, readData, shippedData } from './data.js';
import { memoryProbe } from './memory.js';
import { openModel } from './open-model.js';
import { checkOutput } from './out-folder.js';
import { openTerminal, type Terminal, widthOf } from './terminal.js';

export type OptimizeSettings = {
  model: string;
  data?: string | undefined;
  budget?: string | undefined;
  /** Chains to try instead of the usual ones. */
  pass?: readonly string[] | undefined;
  prefer?: string | undefined;
  out: string;
  threads?: number | undefined;
  seed: number;
  overwrite?: boolean | undefined;
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  /** What does it again. */
  command: string;
  /** Said before the verdict, where a model fits. */
  closing?: string | undefined;
};

const REPORT = 'report.html';
/** The ONNX file holds the weights a second time: only where that costs little. */
const ONNX_BYTES = 200e6;

export async function runOptimize(cli: Cli, settings: OptimizeSettings): Promise<void> {
  const { signal } = cli;
  const terminal = openTerminal(cli, settings);
  const given = settings.budget === undefined ? undefined : parseBudget(settings.budget);
  const candidates = settings.pass?.map(parseChain);
  await checkOutput(settings.out, { overwrite: settings.overwrite === true, manifest: REPORT });
  const data = settings.data === undefined ? undefined : await readData(settings.data);
  await using opened = await openModel(settings.model, { signal: cli.signal, terminal });
  const { model } = opened;
  const judgedOn = data ?? (await shippedData({ labelled: isEncoder(model) }));
  terminal.note(`data: ${describeData(judgedOn)}${data ? '' : ' (come with anyformer)'}`);
  const budget = given ?? parseBudget(usualBudget(model, judgedOn.labelled !== undefined));
  if (!given) terminal.note(`budget: ${showBudget(budget)}`);

  let found: Optimized;
  await using memory = await memoryProbe(judgedOn.texts, settings.threads);
  {
    await using device = await cpuDevice({ threads: settings.threads, signal });
    found = await optimize({
      model,
      device,
      budget,
      data: judgedOn,
      candidates,
      prefer: settings.prefer,
      seed: settings.seed,
      memoryOf: memory.of,
      signal,
      progress: ({ stage, done, total, what }) => {
        terminal.progress({ stage: STAGES[stage], done, total, what });
      },
    });
  }
  terminal.clear();
  const report = { ...found.report, command: settings.command };
  await write(found.chosen, report, settings, signal);
  show(cli, terminal, settings, report, found.chosen);
  if (!found.chosen) cli.exitCode = EXIT.unmet;
}

const STAGES = {
  original: 'original',
  calibrate: 'calibrate',
  screen: '1/2 screen',
  confirm: '2/2 confirm',
  memory: '2/2 memory',
} as const;

/** What fits most: a quarter of the bytes of float32, with next to nothing lost. */
function usualBudget(model: Model, labelled: boolean): string {
  if (!isEncoder(model)) return 'size<=0.3x, agreement>=0.95';
  return `size<=0.3x, cosine>=0.99${labelled ? ', accuracy>=0.987x' : ''}`;
}

async function write(
  chosen: Model | undefined,
  report: ReportData,
  { out, overwrite }: OptimizeSettings,
  signal: AbortSignal,
): Promise<void> {
  const page = new TextEncoder().encode(await renderReport(report));
  const files = [{ name: REPORT, chunks: page }];
  if (chosen) {
    checkQuality(chosen, {});
    const onnx = storedBytes(chosen) <= ONNX_BYTES ? await onnxFiles(chosen) : [];
    for (const file of [...modelFiles(chosen), ...onnx]) {
      files.push({ ...file, name: `model/${file.name}` } as (typeof files)[number]);
    }
  }
  signal.throwIfAborted();
  await writeFolder(out, files, { overwrite, signal, last: REPORT });
}

function show(
  cli: Cli,
  terminal: Terminal,
  { out, json, closing }: OptimizeSettings,
  report: ReportData,
  chosen: Model | undefined,
): void {
  const { recommendation } = report.assessment;
  const written = { model: chosen ? `${out}/model` : null, report: `${out}/${REPORT}` };
  if (json) {
    terminal.print(`${JSON.stringify({ ...reportJson(report), written }, null, 2)}\n`);
    return;
  }
  terminal.print(`${renderTable(report.assessment, { width: widthOf(cli) })}\n\n`);
  terminal.print(`${recommendation.reasons.join('\n')}\n`);
  if (written.model) terminal.print(`written: ${written.model}/\n`);
  terminal.print(`report:  ${written.report}\n`);
  if (closing && chosen) terminal.note(closing);
  terminal.print(`${recommendation.line}\n`);
}
