// Tensors of a checkpoint that its model does not read. Most are harmless: buffers, heads for other
// tasks. Two kinds are not, because they change what the model should compute: a tensor right beside
// those that a module reads (a bias that the config says there is none of), and one that has the name
// of a tensor of the model but for its numbers (a layer more than the config says).
import { AnyformerError } from '../tensor/error.js';
import { printable } from './json-strict.js';
import { declare, type Model } from './model.js';

export const unusedTensors = (model: Model): string[] => {
  const { stored } = declare(model);
  return [...model.weights.names()].filter((name) => !stored.has(name));
};

const moduleOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('.')));
const unnumbered = (name: string): string =>
  name
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? '#' : part))
    .join('.');

/** Errors: `models/extra`, with all of them. */
export function checkUnused(model: Model, file: string): void {
  const known = [...declare(model).stored.keys()];
  const modules = new Set(known.map(moduleOf));
  const patterns = new Set(known.map(unnumbered));
  const extra = unusedTensors(model).filter(
    (name) => (name.includes('.') && modules.has(moduleOf(name))) || patterns.has(unnumbered(name)),
  );
  if (extra.length === 0) return;
  const shown = extra.slice(0, 50).map((name) => printable(name));
  if (extra.length > shown.length) shown.push(`and ${extra.length - shown.length} more`);
  throw new AnyformerError('models/extra', {
    what: `${file}: the checkpoint holds ${extra.length} tensors that the model of this config would leave out:\n    ${shown.join('\n    ')}`,
    expected: `the ${known.length} tensors of the model, and what belongs to other modules`,
    found: `${extra.length} more in the same modules`,
    hint: 'check that config.json belongs to these weights',
  });
}
