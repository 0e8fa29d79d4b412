// `anyformer transcribe` on small files with a small model of random weights: what it prints, what it
// says about files that have to be changed, and what it refuses.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { resample } from '../src/data/resample.js';
import { saveModel } from '../src/models/folder.js';
import { cli } from './support/cli.js';
import { smallDecoder, smallSpeech } from './support/small-models.js';
import { wavFile } from './support/wav-file.js';

let place: string;
let model: string;
const file = (name: string) => join(place, name);
const wave = Float32Array.from({ length: 24000 }, (_, i) => 0.4 * Math.sin(i * i * 1e-5));

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'transcribe-'));
  model = file('model');
  await saveModel(smallSpeech(4), model);
  await saveModel({ ...smallSpeech(4), tokenizer: undefined }, file('mute'));
  await saveModel(smallDecoder(), file('decoder'));
  await writeFile(file('plain.wav'), wavFile(wave));
  const wide = resample(wave, 16000, 44100);
  await writeFile(file('wide.wav'), wavFile(wide, { rate: 44100, channels: 2 }));
  await writeFile(file('short.wav'), wavFile(wave.subarray(0, 500)));
  await writeFile(file('not.wav'), 'RIFF, or so it says');
});
afterAll(() => rm(place, { recursive: true }));

it('prints a line for a file, and a document with --json', async () => {
  const text = await cli('transcribe', file('plain.wav'), '--model', model);
  expect(text.code).toBe(0);
  expect(text.stdout).toMatch(/^[^\n]+\n$/);
  expect(text.stderr).toContain('1.50 s of sound');
  const json = await cli('transcribe', file('plain.wav'), '--model', model, '--json');
  const [heard] = JSON.parse(json.stdout).files;
  expect(heard).toMatchObject({ file: file('plain.wav'), rate: 16000, channels: 1, seconds: 1.5 });
  expect(heard.text).toBe(text.stdout.trim());
  expect(heard.pieces).toMatchObject([{ start: 0, end: 1.5, text: heard.text }]);
  expect(heard.pieces[0].ids.length).toBeGreaterThan(0);
});

it('mixes down and resamples, saying so, and gives several files a line each', async () => {
  const names = [file('plain.wav'), file('wide.wav')];
  const { code, stdout, stderr } = await cli('transcribe', ...names, '--model', model);
  expect(code).toBe(0);
  expect(stderr).toContain('wide.wav: 2 channels mixed down to one, 44.1 kHz resampled to 16 kHz');
  expect(stderr).not.toContain('plain.wav');
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => line.split('\t')[0])).toEqual(names);
  const quiet = await cli('transcribe', names[1], '--model', model, '--quiet');
  expect(quiet.stderr).toBe('');
});

it.each([
  ['missing.wav', 'model', 1, /file\/not-found/],
  ['not.wav', 'model', 2, /data\/wav.*not\.wav/s],
  ['short.wav', 'model', 2, /data\/sound.*at least 56 ms.*31 ms/s],
  ['plain.wav', 'decoder', 1, /models\/kind.*speech-to-text.*decoder/s],
  ['plain.wav', 'mute', 1, /decode\/tokenizer/],
])('refuses %s with %s', async (name, folder, code, says) => {
  const ended = await cli('transcribe', file(name), '--model', file(folder));
  expect(ended.stderr).toMatch(says);
  expect(ended.code).toBe(code);
  expect(ended.stdout).toBe('');
});
