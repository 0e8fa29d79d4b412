// Names of external data files. A model may only name files beside or below itself, under the
// rules of POSIX and Windows at once, so that a model checked on one system is safe on the other.
// Links on disk are for whoever opens the file: this judges the name alone.
import { onnxError, quote } from './limits.js';

const deviceName = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;
const forbidden = '<>:"|?*\\';

function badSegment(segment: string): string | undefined {
  if (segment === '') return 'an absolute path or an empty folder name';
  if (segment === '.' || segment === '..') return 'a step to another folder';
  if (/[. ]$/.test(segment) || segment.startsWith(' ')) return 'a name that Windows would change';
  if (deviceName.test(segment.trimEnd())) return 'a device name of Windows';
  for (const character of segment) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || code === 0x7f) return 'a control character';
    if (forbidden.includes(character)) return `the character ${character}`;
  }
  return undefined;
}

/** Returns `location` if it is a plain relative name (`model.bin`, `data/w.bin`), else throws `onnx/location`. */
export function checkLocation(location: string, tensor: string): string {
  const problem =
    location.length > 1024
      ? 'more than 1024 characters'
      : location
          .split('/')
          .map(badSegment)
          .find((found) => found !== undefined);
  if (problem === undefined) return location;
  throw onnxError('location', {
    what: `tensor ${quote(tensor)} names an external file that cannot be trusted`,
    expected: 'a plain relative name such as model.bin',
    found: `${quote(location)} (${problem})`,
    hint: 'do not load this model unless you know where it comes from',
  });
}
