// Showing what a model is made of.
import { type Inspection, inspectModel, type ModuleTree, moduleTree } from '../models/inspect.js';
import type { QualityRecord } from '../models/quality.js';
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
  await using opened = await openModel(name);
  const { model } = opened;
  const context = model.family.context(model.config);
  if (seq !== undefined && seq > context) {
    throw new AnyformerError('usage/seq', {
      what: `--seq ${seq} is more than the model's context`,
      expected: `at most ${context}`,
      found: String(seq),
    });
  }
  const facts = inspectModel(model, { batch, seq });
  const text = json
    ? `${JSON.stringify({ ...facts, name }, null, 2)}\n`
    : show({ ...facts, name }, depth);
  cli.stdout.write(text);
}

const whole = (value: number): string => value.toLocaleString('en-US');

function show(facts: Inspection, depth: number): string {
  const tree = moduleTree(facts.modules, depth);
  return [
    `${headline(facts)}\n`,
    columns(overview(facts), ['left', 'left']),
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
