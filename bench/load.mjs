// What loading a checkpoint of about 500 MB costs: `npm run bench:load`. A process of its own loads a
// model of random weights and makes one token; it tells its peak of resident memory and how
// many bytes it read by system calls, both as multiples of the file. Mapped pages count as resident and
// are read by no call; how many of them it touched is told too.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const models = {
  'GPT-2 124M': {
    model_type: 'gpt2',
    vocab_size: 50_257,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    n_positions: 1024,
  },
  'Llama 135M': {
    model_type: 'llama',
    vocab_size: 49_152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 2048,
    tie_word_embeddings: true,
  },
};
const folderOf = (name) =>
  fileURLToPath(new URL(`../.cache/bench-load/${name.replace(/\W+/g, '-')}`, import.meta.url));

/** Random weights: their values do not matter here. */
async function makeModel(name) {
  const { initialModel } = await import('../dist/models/initial.js');
  const { saveModel } = await import('../dist/models/folder.js');
  await saveModel(initialModel({ name, config: models[name] }, { seed: 1 }), folderOf(name));
}

const own = (name, pattern) =>
  Number(pattern.exec(readFileSync(`/proc/self/${name}`, 'utf8'))?.[1]);

/** Resident bytes of mappings of the weights. */
function mappedBytes() {
  let inside = false;
  let bytes = 0;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) inside = line.includes('.safetensors');
    const [, kilobytes] = /^Rss:\s+(\d+) kB/.exec(line) ?? [];
    if (inside && kilobytes !== undefined) bytes += 1024 * Number(kilobytes);
  }
  return bytes;
}

async function load(folder) {
  const { peakResidentBytes } = await import('../dist/platform/node.js');
  const { loadModelFolder } = await import('../dist/models/folder.js');
  const { cpuDevice } = await import('../dist/runtime/node-cpu.js');
  const { generate } = await import('../dist/decode/index.js');
  const before = own('io', /^rchar: (\d+)/m);
  const device = await cpuDevice({ threads: 2 });
  const model = await loadModelFolder(folder);
  let first = 0;
  for await (const _ of generate(model, [1, 2, 3, 4], { device, maxNewTokens: 2 })) {
    first ||= performance.now();
  }
  const peak = peakResidentBytes();
  const mapped = mappedBytes();
  await device.dispose();
  await model[Symbol.asyncDispose]();
  const read = own('io', /^rchar: (\d+)/m) - before;
  console.log(JSON.stringify({ peak, read, mapped, firstToken: first }));
}

async function main() {
  if (process.platform !== 'linux') throw new Error('reads /proc: Linux only');
  const rows = [];
  for (const model of Object.keys(models)) {
    const folder = folderOf(model);
    if (!existsSync(join(folder, 'config.json'))) await makeModel(model);
    const { size } = statSync(join(folder, 'model.safetensors'));
    const child = spawnSync(process.execPath, [self, 'load', folder], { encoding: 'utf8' });
    if (child.status !== 0) throw new Error(child.stderr);
    const { peak, read, mapped, firstToken } = JSON.parse(child.stdout);
    const times = (value) => Number((value / size).toFixed(3));
    rows.push({
      model,
      'file, MB': Math.round(size / 1e6),
      'peak of resident memory, x the file (must: 1.3)': times(peak),
      'read by calls, x the file (must: 1)': times(read),
      'mapped still, x the file': times(mapped),
      'first token after, s (must: 3)': Number((firstToken / 1000).toFixed(2)),
    });
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify(rows, null, 2));
  else for (const row of rows) console.table(row);
}

await (process.argv[2] === 'load' ? load(process.argv[3]) : main());
