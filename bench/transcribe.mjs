// Word error rate of moonshine-tiny on telephone prompts, against the rate that the same files gave in
// onnxruntime under another program, and the time it takes. Every fourth of the prompts of four or more
// plain words; 8 kHz, upsampled.
//
//   apt-get install asterisk-core-sounds-en-wav        (Debian; texts in asterisk-core-sounds-en)
//   npm run bench:transcribe [-- FOLDER_WITH_WAV TEXTS.txt.gz] [-- --list]
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { monoAt, readWav } from '../dist/data/index.js';
import { openDecoder, transcribe } from '../dist/decode/index.js';
import { loadMoonshinePackage } from '../dist/models/import/moonshine-package.js';
import { cpuDevice } from '../dist/runtime/node-cpu.js';

const RECORDED = 0.048;
const RATE = 16000;
const given = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const listed = process.argv.includes('--list');
const [
  sounds = '/usr/share/asterisk/sounds/en_US_f_Allison',
  texts = '/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz',
] = given;
if (!existsSync(sounds) || !existsSync(texts)) {
  console.error(`no prompts at ${sounds} and ${texts}`);
  console.error('apt-get install asterisk-core-sounds-en-wav asterisk-core-sounds-en');
  process.exit(2);
}

const DIGITS = 'zero one two three four five six seven eight nine'.split(' ');
/** Lower-case words; single digits are spelled, which is how the prompts are written. */
const wordsOf = (text) =>
  text
    .toLowerCase()
    .replace(/\d/g, (digit) => ` ${DIGITS[digit]} `)
    .match(/[a-z']+/g) ?? [];

/** Insertions, deletions and substitutions that make `b` of `a`. */
function edits(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (const [i, word] of a.entries()) {
    const next = [i + 1];
    for (let k = 1; k <= b.length; k++) {
      next.push(Math.min(row[k] + 1, next[k - 1] + 1, row[k - 1] + (word === b[k - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

const lines = gunzipSync(await readFile(texts))
  .toString('utf8')
  .split('\n');
const prompts = lines
  .flatMap((line) => {
    const [, name, text] = /^([^;:\s][^:]*):\s*(.*)$/.exec(line) ?? [];
    const plain = name !== undefined && !/[\d[]/.test(text) && wordsOf(text).length >= 4;
    return plain && existsSync(join(sounds, `${name}.wav`)) ? [{ name, text }] : [];
  })
  .filter((_, i) => i % 4 === 0);

const device = await cpuDevice();
const decoder = await openDecoder(await loadMoonshinePackage(), device);
const clips = [];
for (const prompt of prompts) {
  clips.push({
    ...prompt,
    samples: monoAt(await readWav(join(sounds, `${prompt.name}.wav`)), RATE),
  });
}
const seconds = clips.reduce((sum, { samples }) => sum + samples.length / RATE, 0);
console.log(
  `${clips.length} prompts, ${seconds.toFixed(0)} s of sound, ${device.threads} threads, load ${loadavg()[0].toFixed(2)}`,
);

let [wrong, words] = [0, 0];
const begin = performance.now();
for (const { name, text, samples } of clips) {
  let heard = '';
  for await (const piece of transcribe(decoder, samples)) heard += ` ${piece.text}`;
  const [said, found] = [wordsOf(text), wordsOf(heard)];
  const faults = edits(said, found);
  wrong += faults;
  words += said.length;
  if (listed && faults > 0)
    console.log(`  ${name} (${faults}): ${text}\n    heard: ${heard.trim()}`);
}
const took = (performance.now() - begin) / 1000;
await decoder.dispose();
await device.dispose();

const rate = wrong / words;
const percent = (share) => `${(100 * share).toFixed(1)} %`;
console.log(
  `word error rate   ${percent(rate)}, ${wrong} of ${words} words   (recorded: ${percent(RECORDED)})`,
);
console.log(
  `time              ${took.toFixed(1)} s, ${(seconds / took).toFixed(1)}x as fast as speech`,
);
process.exit(rate <= RECORDED + 0.002 ? 0 : 1);
