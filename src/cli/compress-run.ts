// Compressing with a chain of the user's choice: apply, measure, write with the record.
import { calibrate } from '../compress/calibration.js';
import { applyChain, needsCalibration, parseChain, showSteps } from '../compress/registry.js';
import { sampleTexts } from '../data/split.js';
import { tokenize } from '../models/encoder.js';
import { saveModel } from '../models/folder.js';
import { isEncoder, type Model, storedBytes } from '../models/model.js';
import type { QualityRecord } from '../models/quality.js';
import { formatBytes, formatRatio, formatValue } from '../optimize/format.js';
import { metricOf } from '../optimize/metric.js';
import { measureQuality, type QualityData } from '../optimize/quality.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { VERSION } from '../tensor/version.js';
import type { Cli } from './cli.js';
import { columns } from './columns.js';
import type { CompressOptions } from './commands/compress.js';
import { describeData, readData, shippedData } from './data.js';
import { openModel } from './open-model.js';
import { checkOutput } from './out-folder.js';
import { openTerminal } from './terminal.js';

const CALIBRATION_TEXTS = 128;

export async function runCompress(cli: Cli, name: string, options: CompressOptions): Promise<void> {
  const { signal } = cli;
  const { out, overwrite = false, threads } = options;
  const terminal = openTerminal(cli, options);
  const chain = parseChain(options.pass.join('+'));
  await checkOutput(out, { overwrite, manifest: 'config.json' });
  const given = options.data === undefined ? undefined : await readData(options.data);
  await using opened = await openModel(name, { signal: cli.signal, terminal });
  const { model: original } = opened;
  const data = given ?? (await shippedData({ labelled: isEncoder(original) }));
  const whence = given ? '' : ' (come with anyformer; --data takes yours)';
  terminal.note(`data: ${describeData(data)}${whence}`);

  const { calibration: sample, judged } = divide(data, needsCalibration(chain), options.seed);
  await using device = await cpuDevice({ threads, signal });
  const share = (stage: string) => (done: number, what: string) =>
    terminal.progress({ stage, done: Math.round(1000 * done), total: 1000, what });
  const calibration =
    sample.length === 0
      ? undefined
      : await calibrate(original, {
          device,
          ids: tokenize(original, sample),
          signal,
          progress: share('calibrate'),
        });
  const made = await applyChain(original, chain, {
    device,
    calibration,
    signal,
    progress: share('compress'),
  });
  terminal.progress({ stage: 'measure', done: 0, total: 1, what: `${judged.texts.length} texts` });
  const measured = await measureQuality(original, made, judged, device, {
    signal,
    version: VERSION,
  });
  terminal.clear();
  const { record } = measured;
  await saveModel({ ...made, quality: record }, out, { overwrite, floor: options.floor, signal });
  const bytes = { before: storedBytes(original), after: storedBytes(made) };
  if (options.json) {
    const result = { model: name, passes: showSteps(chain), out, bytes, quality: record };
    terminal.print(`${JSON.stringify(result, null, 2)}\n`);
  } else terminal.print(summary(made, out, bytes, record));
}

/** Texts to calibrate on, where a pass needs them, and the others, which judge. */
function divide(
  data: QualityData,
  needed: boolean,
  seed: number,
): { calibration: string[]; judged: QualityData } {
  if (!needed) return { calibration: [], judged: data };
  const count = Math.max(1, Math.min(CALIBRATION_TEXTS, Math.floor(data.texts.length / 4)));
  const calibration = sampleTexts(data.texts, count, seed);
  const taken = new Set(calibration);
  return { calibration, judged: { ...data, texts: data.texts.filter((text) => !taken.has(text)) } };
}

function summary(
  { name }: Model,
  out: string,
  bytes: { before: number; after: number },
  { metrics, data }: QualityRecord,
): string {
  const rows = [
    [
      '  size',
      formatBytes(bytes.before),
      formatBytes(bytes.after),
      formatRatio(bytes.after / bytes.before),
    ],
    ...Object.entries(metrics).map(([metric, { before, after }]) => {
      const show = (value: number) => formatValue(metricOf(metric).unit, value);
      return [`  ${metric}`, before === null ? '' : show(before), show(after), ''];
    }),
  ];
  const head = ['', 'original', 'compressed', ''];
  return [
    `${name}, measured on ${data.examples.toLocaleString('en-US')} texts\n`,
    columns([head, ...rows], ['left', 'right', 'right', 'right']),
    `written: ${out}/\n`,
  ].join('');
}
