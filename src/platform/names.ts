// File names that come from outside: index files, the Hub, archives. One rule set for every
// operating system, so that a name is either fine everywhere or refused everywhere. Whether links on
// the disk lead elsewhere is the business of `safeName`.
import { AnyformerError } from '../tensor/error.js';

// Windows opens the device, whatever the folder and the extension.
const device = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])(\..*)?$/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const control = /[\u0000-\u001f\u007f]/;

/** The folders and the file of `name`, or `file/name` saying which rule it breaks. */
export function checkName(name: string): string[] {
  const broken = brokenRule(name);
  if (broken === undefined) return name.split('/');
  throw new AnyformerError('file/name', {
    what: `unsafe file name ${JSON.stringify(String(name).slice(0, 200))}`,
    expected: 'a relative name with / between folders, valid on Linux, macOS and Windows',
    found: broken,
    hint: 'rename the file where it comes from; do not load folders from sources you do not trust',
  });
}

function brokenRule(name: string): string | undefined {
  if (typeof name !== 'string') return `a ${typeof name}`;
  if (name === '') return 'an empty name';
  if (name.length > 1024) return `${name.length} characters`;
  if (control.test(name)) return 'a control character';
  if (/\p{Surrogate}/u.test(name)) return 'half of a surrogate pair';
  if (/^[/\\]{2}/.test(name)) return 'a network (UNC) path';
  if (/^[/\\]/.test(name)) return 'an absolute path';
  if (/^[A-Za-z]:/.test(name)) return 'a drive letter';
  if (name.includes('\\')) return 'a backslash, which is a separator on Windows';
  if (/[<>:"|?*]/.test(name)) return 'one of < > : " | ? *, which Windows reserves';
  for (const part of name.split('/')) {
    if (part === '') return 'an empty folder name';
    if (part === '..') return 'a step to the parent folder (..)';
    if (/[. ]$/.test(part)) return 'a part that ends in a dot or a space, which Windows drops';
    if (device.test(part)) return `${part}, the name of a Windows device`;
    if (new TextEncoder().encode(part).length > 255) return 'a part longer than 255 bytes';
  }
  return undefined;
}
