// Files that are not safetensors whatever their name says, told by their first bytes, each with the
// way out. Pickles run code when loaded, so there is no flag to read one.
import { AnyformerError } from '../tensor/error.js';

const pickleHint =
  'ask the author for model.safetensors, or convert the file where you trust it, with the ' +
  "safetensors package: save_file(torch.load(path, weights_only=True), 'model.safetensors')";

const formats = [
  { code: 'pickle', name: 'a zip archive, as PyTorch writes its pickles', starts: [0x50, 0x4b] },
  { code: 'pickle', name: 'a Python pickle', starts: [0x80, 2] },
  { code: 'pickle', name: 'a Python pickle', starts: [0x80, 3] },
  { code: 'pickle', name: 'a Python pickle', starts: [0x80, 4] },
  { code: 'pickle', name: 'a Python pickle', starts: [0x80, 5] },
  { code: 'foreign', name: 'a GGUF file', starts: [...'GGUF'].map((c) => c.charCodeAt(0)) },
  { code: 'foreign', name: 'an HDF5 file', starts: [0x89, 0x48, 0x44, 0x46] },
  {
    code: 'foreign',
    name: 'a Git LFS pointer, not the file itself',
    starts: [...'version https://git-lfs'].map((c) => c.charCodeAt(0)),
    hint: 'run `git lfs pull` in the folder it came from',
  },
];

/**
 * The refusal for a file that begins like a known other format. Call it only once the bytes have
 * failed as safetensors: a header of 0x0280 bytes begins like a pickle.
 */
export function foreignFormat(start: Uint8Array, file: string): AnyformerError | undefined {
  const format = formats.find(({ starts }) => starts.every((byte, i) => start[i] === byte));
  if (format === undefined) return undefined;
  const { code, name, hint } = format;
  return new AnyformerError(`safetensors/${code}`, {
    what: `${file} is not a safetensors file`,
    expected: 'the safetensors format',
    found: name,
    hint: hint ?? (code === 'pickle' ? pickleHint : 'get the model in the safetensors format'),
  });
}
