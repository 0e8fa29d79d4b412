// HTML as a template whose every value is escaped. Only what came out of the template itself goes in
// unescaped, so a name read from a file can never become markup.

export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | undefined | false | readonly Part[];

export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  let text = strings[0];
  parts.forEach((part, i) => {
    text += render(part) + strings[i + 1];
  });
  return new Html(text);
}

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (part === undefined || part === false) return '';
  if (typeof part === 'object') return part.map(render).join('');
  return escapeHtml(String(part));
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Safe as text and inside a quoted attribute. NUL, which HTML cannot hold, becomes U+FFFD. */
export const escapeHtml = (text: string): string =>
  text.replaceAll('\0', '\ufffd').replace(/[&<>"']/g, (character) => ESCAPES[character]);

/**
 * A JSON island: `<script type="application/json">`. Inside a script element only `</script` and
 * `<!--` end or change the parsing, so every `<` is written as its JSON escape.
 */
export function jsonIsland(id: string, data: unknown): Html {
  const text = JSON.stringify(data, null, 1).replaceAll('<', '\\u003c');
  return new Html(`<script type="application/json" id="${escapeHtml(id)}">\n${text}\n</script>`);
}
