// A clip of speech from an npm package that tests may find in the cache; nothing is fetched.
import { parseTarGzip } from 'nanotar';
import { cacheFolders, exists, joinPath, packageFolder, readFile } from '#platform';
import { decodeWav, readWav } from '../../src/data/wav.js';

const CLIP = 'cpp/whisper.cpp/bindings/go/samples/jfk.wav';

/** Eleven seconds of a speech, 16 kHz; undefined where nodejs-whisper 0.3.1 is not on the machine. */
export async function jfk(): Promise<Float32Array<ArrayBuffer> | undefined> {
  const installed = packageFolder('nodejs-whisper');
  if (installed && (await exists(joinPath(installed, CLIP)))) {
    return (await readWav(joinPath(installed, CLIP))).channels[0];
  }
  for (const cache of cacheFolders()) {
    for (const folder of [cache, joinPath(cache, 'npm')]) {
      const tarball = joinPath(folder, 'nodejs-whisper-0.3.1.tgz');
      if (!(await exists(tarball))) continue;
      const [clip] = await parseTarGzip(await readFile(tarball), {
        filter: ({ name }) => name === `package/${CLIP}`,
      });
      if (clip?.data) return decodeWav(clip.data, CLIP).channels[0];
    }
  }
  return undefined;
}
