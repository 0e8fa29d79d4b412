// Command lines as one would type them, for reports that say how to do it again.

/** One argument, quoted for a POSIX shell where it has to be. */
export const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** `anyformer optimize use-lite --seed 1`; options without a value are left out. */
export function shellLine(
  words: readonly string[],
  options: readonly (readonly [name: string, value: string | number | undefined])[],
): string {
  const given = options.flatMap(([name, value]) =>
    value === undefined ? [] : [name, String(value)],
  );
  return ['anyformer', ...words, ...given].map(quoted).join(' ');
}
