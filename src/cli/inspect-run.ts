// Showing what a model is made of.
import type { HubPlan } from '../models/hub.js';
import { remoteModel } from '../models/hub-inspect.js';
import { hubSettings } from '../models/hub-settings.js';
import { type Inspection, inspectModel, type ModuleTree, moduleTree } from '../models/inspect.js';
import type { Model } from '../models/model.js';
import type { QualityRecord } from '../models/quality.js';
import { remoteReference } from '../models/resolve.js';
import { unusedTensors } from '../models/unused.js';
import { formatBytes, formatCount, formatValue } from '../optimize/format.js';
import { metricOf } from '../optimize/metric.js';
import { AnyformerError } from '../tensor/error.js';
import type { Cli } from './cli.js';
import { columns } from './columns.js';
import type { InspectCommandOptions } from './commands/inspect.js';
import { openModel } from './open-model.js';

export async function runInspect(
  cli: Cli,
  name: string,
  { batch, seq, depth, json }: InspectCommandOptions,
): Promise<void> {
  const { signal } = cli;
  const reference = await remoteReference(name);
  const fetched = !reference || hubSettings().offline;
  // Of a model of the Hub the headers are enough.
  const remote = fetched ? undefined : await remoteModel(reference, { signal });
  await using opened = remote ? undefined : await openModel(name, { signal });
  const model = (remote ?? (opened as { model: Model })).model;
  const context = model.family.context(model.config);
  if (seq !== undefined && seq > context) {
    throw new AnyformerError('usage/seq', {
      what: `--seq ${seq} is more than the model's context`,
      expected: `at most ${context}`,
      found: String(seq),
    });
  }
  const facts = { ...inspectModel(model, { batch, seq }), name };
  const unused = unusedTensors(model);
  const download = remote && downloadOf(remote.plan);
  const text = json
    ? `${JSON.stringify({ ...facts, unused, download }, null, 2)}\n`
    : show(facts, [...downloadRows(download), ...unusedRows(unused)], depth);
  cli.stdout.write(text);
}

const whole = (value: number): string => value.toLocaleString('en-US');

type Download = { commit: string; files: number; bytes: number; missingBytes: number };

const downloadOf = ({ listing, files, bytes, missingBytes }: HubPlan): Download => ({
  commit: listing.commit,
  files: files.length,
  bytes,
  missingBytes,
});

function downloadRows(download: Download | undefined): string[][] {
  if (!download) return [];
  const { commit, files, bytes, missingBytes } = download;
  const state =
    missingBytes === 0 ? 'all in the cache' : `${formatBytes(missingBytes)} not yet in the cache`;
  return [
    ['download', `${files} files, ${formatBytes(bytes)}, ${state} (commit ${commit.slice(0, 12)})`],
  ];
}

/** Tensors of the files that the model has no use for. */
function unusedRows(names: readonly string[]): string[][] {
  if (names.length === 0) return [];
  const shown = names.slice(0, 3).map((name) => name.replace(/\p{Cc}/gu, '?'));
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return [['not used', `${shown.join(', ')}${more}`]];
}

function show(facts: Inspection, more: string[][], depth: number): string {
  const tree = moduleTree(facts.modules, depth);
  return [
    `${headline(facts)}\n`,
    columns([...overview(facts), ...more], ['left', 'left']),
    '\n',
    columns(
      [['Part', 'Parameters', 'Bytes', 'FLOPs', 'of all'], ...rowsOf(tree, facts.flops)],
      ['left', 'right', 'right', 'right', 'right'],
    ),
  ].join('');
}

function headline({ name, family, kind, width }: Inspection): string {
  const makes = kind === 'encoder' ? `text encoder, ${width} numbers a text` : 'language model';
  return `${name}: ${makes} (${family})`;
}

function overview(facts: Inspection): string[][] {
  const { context, batch, seq } = facts;
  const texts = batch === 1 ? 'one text' : `${whole(batch)} texts`;
  const packed = facts.formats.reduce((sum, { bytes }) => sum + bytes, 0);
  const formats = facts.formats.map(({ format, matrices, bytes }, i) => [
    i === 0 ? 'held as' : '',
    `${format}: ${matrices} ${matrices === 1 ? 'matrix' : 'matrices'}, ${formatBytes(bytes)}`,
  ]);
  const cache = facts.cacheBytesPerToken;
  return [
    ['texts', `up to ${whole(context)} tokens, from a vocabulary of ${whole(facts.vocabulary)}`],
    ['parameters', whole(facts.parameters)],
    ['weights', `${formatBytes(facts.bytes)} on disk`],
    ...formats,
    ['', `other tensors (norms, biases): ${formatBytes(facts.bytes - packed)}`],
    ['one pass', `${formatCount(facts.flops)}FLOP for ${texts} of ${whole(seq)} tokens`],
    ['', `${formatBytes(facts.peakActivationBytes)} of intermediate results at most`],
    ...(cache === undefined
      ? []
      : [
          [
            'cache',
            `${formatBytes(cache)} a token while generating, ${formatBytes(cache * context)} when full`,
          ],
        ]),
    ...(facts.quality ? qualityRows(facts.quality) : []),
  ];
}

function qualityRows({ metrics, data, original }: QualityRecord): string[][] {
  const shown = Object.entries(metrics).map(([metric, { before, after }]) => {
    const value = (number: number) => formatValue(metricOf(metric).unit, number);
    return `${metric} ${before === null ? '' : `${value(before)} -> `}${value(after)}`;
  });
  return [
    ['quality', `against ${original} on ${whole(data.examples)} texts of ${data.name}:`],
    ['', shown.join(', ')],
  ];
}

function rowsOf(tree: ModuleTree, all: number, level = 0): string[][] {
  const name = level === 0 ? 'the whole model' : `${'  '.repeat(level)}${tree.name}`;
  const share = all === 0 ? '' : `${((100 * tree.flops) / all).toFixed(1)} %`;
  const amount = (value: number, text: string) => (value === 0 ? '-' : text);
  return [
    [
      name,
      amount(tree.parameters, whole(tree.parameters)),
      amount(tree.bytes, formatBytes(tree.bytes)),
      amount(tree.flops, formatCount(tree.flops)),
      amount(tree.flops, share),
    ],
    ...tree.children.flatMap((child) => rowsOf(child, all, level + 1)),
  ];
}
