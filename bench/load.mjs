// What loading a checkpoint of about 500 MB costs: `npm run bench:load`. A process of its own loads a
// Llama-shaped model of random weights and makes one token; it tells its peak of resident memory and how
// many bytes it read by system calls, both as multiples of the file. Mapped pages count as resident and
// are read by no call; how many of them it touched is told too.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../.cache/bench-load', import.meta.url));
const self = fileURLToPath(import.meta.url);
const config = {
  model_type: 'llama',
  vocab_size: 49_152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 2048,
  tie_word_embeddings: true,
};

/** Random weights by a fast generator of integers: their values do not matter here. */
async function makeModel() {
  const { initialModel } = await import('../dist/models/initial.js');
  const { saveModel } = await import('../dist/models/folder.js');
  const model = initialModel({ name: 'bench-load', config }, { seed: 1 });
  await saveModel(model, folder, { overwrite: existsSync(folder) });
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

async function load() {
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
  const mapped = mappedBytes();
  await device.dispose();
  await model[Symbol.asyncDispose]();
  const read = own('io', /^rchar: (\d+)/m) - before;
  console.log(
    JSON.stringify({ peak: peakResidentBytes(), read, mapped, firstToken: first }),
  );
}

async function main() {
  if (process.platform !== 'linux') throw new Error('reads /proc: Linux only');
  if (!existsSync(join(folder, 'config.json'))) await makeModel();
  const bytes = statSync(join(folder, 'model.safetensors')).size;
  const { status, stdout, stderr } = spawnSync(process.execPath, [self, 'load'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const { peak, read, mapped, firstToken } = JSON.parse(stdout);
  const times = (value) => `${(value / bytes).toFixed(2)} x the file`;
  const megabytes = (value) => `${(value / 1e6).toFixed(0)} MB`;
  console.table([
    { what: 'weights on disk', value: megabytes(bytes), must: '' },
    { what: 'peak of resident memory', value: times(peak), must: 'at most 1.30' },
    { what: 'read by system calls', value: times(read), must: 'at most 1.02, with what is mapped' },
    { what: 'mapped and touched', value: times(mapped), must: '' },
    {
      what: 'first token after process start',
      value: `${(firstToken / 1000).toFixed(2)} s`,
      must: 'at most 3 s',
    },
  ]);
  if (process.argv.includes('--json'))
    console.log(JSON.stringify({ bytes, peak, read, mapped, firstToken }));
}

await (process.argv[2] === 'load' ? load() : main());
