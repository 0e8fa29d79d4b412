// Writing down WAV files on the terminal.
import { baseName } from '#platform';
import { monoAt } from '../data/resample.js';
import { readWav, type Sound } from '../data/wav.js';
import { openDecoder } from '../decode/index.js';
import {
  audioOf,
  checkTokenizer,
  type TranscribedPiece,
  transcribe,
} from '../decode/transcribe.js';
import { significant } from '../optimize/format.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { AnyformerError } from '../tensor/error.js';
import type { Cli } from './cli.js';
import type { TranscribeOptions } from './commands/transcribe.js';
import { openModel } from './open-model.js';
import { openTerminal } from './terminal.js';

type Transcript = {
  file: string;
  rate: number;
  channels: number;
  seconds: number;
  text: string;
  pieces: readonly TranscribedPiece[];
};

export async function runTranscribe(
  cli: Cli,
  files: readonly string[],
  options: TranscribeOptions,
): Promise<void> {
  const { signal } = cli;
  const terminal = openTerminal(cli, options);
  await using opened = await openModel(options.model, { signal, terminal });
  const { model } = opened;
  const { rate, least } = audioOf({ model });
  checkTokenizer(model);
  // Bad files are told before the model is made ready.
  const sounds: { file: string; sound: Sound; samples: Float32Array }[] = [];
  for (const file of files) {
    const sound = await readWav(file);
    sounds.push({ file, sound, samples: heardAs(sound, { file, rate, least }, terminal.note) });
  }
  await using device = await cpuDevice({ threads: options.threads, signal });
  await using decoder = await openDecoder(model, device, { signal });
  const transcripts: Transcript[] = [];
  const begin = performance.now();
  for (const { file, sound, samples } of sounds) {
    const pieces: TranscribedPiece[] = [];
    if (!options.json && files.length > 1) terminal.print(`${file}\t`);
    const heard = options.json ? undefined : heardFirst((text) => terminal.print(text));
    for await (const piece of transcribe(decoder, samples, { signal, heard })) pieces.push(piece);
    if (!options.json) terminal.print('\n');
    transcripts.push({
      file,
      rate: sound.rate,
      channels: sound.channels.length,
      seconds: samples.length / rate,
      text: pieces.map(({ text }) => text).join(' '),
      pieces,
    });
  }
  const took = (performance.now() - begin) / 1000;
  if (options.json) {
    const result = { model: options.model, took, files: transcripts };
    terminal.print(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const spoken = transcripts.reduce((sum, { seconds }) => sum + seconds, 0);
  terminal.note(`${significant(spoken)} s of sound in ${significant(took)} s`);
}

/** The text without the space that it begins with. */
function heardFirst(print: (text: string) => void): (text: string) => void {
  let begun = false;
  return (text) => {
    const shown = begun ? text : text.trimStart();
    begun ||= shown !== '';
    if (shown !== '') print(shown);
  };
}

/** The samples that the model reads; what had to be changed is told. */
function heardAs(
  sound: Sound,
  { file, rate, least }: { file: string; rate: number; least: number },
  note: (text: string) => void,
): Float32Array {
  const { channels } = sound;
  const samples = monoAt(sound, rate);
  if (samples.length < least) {
    throw new AnyformerError('data/sound', {
      what: `${file} is too short to hold a word`,
      expected: `at least ${Math.ceil((1000 * least) / rate)} ms`,
      found: `${Math.round((1000 * channels[0].length) / sound.rate)} ms`,
    });
  }
  const changes = [
    channels.length > 1 ? `${channels.length} channels mixed down to one` : '',
    sound.rate === rate ? '' : `${kilohertz(sound.rate)} resampled to ${kilohertz(rate)}`,
  ].filter((change) => change !== '');
  if (changes.length > 0) note(`${baseName(file)}: ${changes.join(', ')}`);
  return samples;
}

const kilohertz = (rate: number): string => `${rate / 1000} kHz`;
