// WAV files of 16-bit PCM, written byte by byte.

/** The bytes of a file that holds these samples in every channel. */
export function wavFile(
  samples: ArrayLike<number>,
  { rate = 16000, channels = 1 } = {},
): Uint8Array<ArrayBuffer> {
  const length = 2 * channels * samples.length;
  const bytes = new Uint8Array(44 + length);
  const view = new DataView(bytes.buffer);
  const text = (at: number, word: string) => {
    for (let i = 0; i < word.length; i++) view.setUint8(at + i, word.charCodeAt(i));
  };
  text(0, 'RIFF');
  view.setUint32(4, 36 + length, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate * channels, true);
  view.setUint16(32, 2 * channels, true);
  view.setUint16(34, 16, true);
  text(36, 'data');
  view.setUint32(40, length, true);
  for (let i = 0; i < samples.length; i++) {
    for (let c = 0; c < channels; c++) {
      view.setInt16(44 + 2 * (i * channels + c), Math.round(samples[i] * 32767), true);
    }
  }
  return bytes;
}
