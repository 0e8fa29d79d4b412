// Reads the imports and the global names of a TypeScript file without a compiler: a tokeniser that
// knows comments, strings, templates and regular expressions, and a scan over its tokens.

// What stands before a slash that begins a regular expression and does not divide.
const beforeRegex =
  /^(?:[([{,;:=!&|?+\-*%<>~^}]|return|typeof|case|in|of|do|else|void|delete|await|yield|=>)$/;
const piece =
  /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<string>'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*")|(?<word>[\p{ID_Start}$_][\p{ID_Continue}$]*)|(?<other>\d[\w.]*|=>|[\s\S])/uy;
const regex = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;

/** Tokens as `{ kind: 'word' | 'string' | 'other', text, line }`, without comments. */
export function tokens(source) {
  const found = [];
  const templates = []; // brace depth at each open `${`
  let depth = 0;
  let at = 0;
  let line = 1;
  const push = (kind, text) => found.push({ kind, text, line });
  const advance = (text) => {
    for (const character of text) if (character === '\n') line++;
    at += text.length;
  };
  const template = () => {
    // From after the opening backquote, or after a closing brace, to the next `${` or the end.
    const start = at;
    while (at < source.length && source[at] !== '`' && !source.startsWith('${', at)) {
      at += source[at] === '\\' ? 2 : 1;
    }
    const text = source.slice(start, at);
    at = start;
    advance(text);
    if (source[at] === '`') advance('`');
    else {
      advance('${');
      templates.push(depth);
    }
    push('other', '`');
  };
  while (at < source.length) {
    const character = source[at];
    if (character === '`') {
      advance('`');
      template();
      continue;
    }
    if (character === '}' && templates.at(-1) === depth) {
      templates.pop();
      advance('}');
      template();
      continue;
    }
    if (character === '/' && !/^\/[/*]/.test(source.slice(at, at + 2))) {
      const previous = found.at(-1);
      regex.lastIndex = at;
      const text =
        previous === undefined || beforeRegex.test(previous.text)
          ? regex.exec(source)?.[0]
          : undefined;
      if (text !== undefined) {
        push('other', 'regex');
        advance(text);
        continue;
      }
    }
    piece.lastIndex = at;
    const match = piece.exec(source);
    const { string, word, other } = match.groups;
    if (string !== undefined) push('string', string.slice(1, -1));
    else if (word !== undefined) push('word', word);
    else if (other !== undefined) {
      if (other === '{') depth++;
      if (other === '}') depth--;
      push('other', other);
    }
    advance(match[0]);
  }
  return found;
}

/** Imports and re-exports as `{ specifier, typeOnly, line }`, dynamic ones included. */
export function importsOf(source) {
  const all = tokens(source);
  const found = [];
  for (let i = 0; i < all.length; i++) {
    const { kind, text, line } = all[i];
    if (kind !== 'word' || (text !== 'import' && text !== 'export')) continue;
    if (all[i - 1]?.text === '.') continue;
    const next = all[i + 1];
    if (text === 'import' && next?.kind === 'string') {
      found.push({ specifier: next.text, typeOnly: false, line });
    } else if (text === 'import' && next?.text === '(') {
      if (all[i + 2]?.kind === 'string') {
        found.push({ specifier: all[i + 2].text, typeOnly: false, line });
      }
    } else if (text === 'import' ? next?.text !== '.' : isReexport(all, i)) {
      const from = fromClause(all, i + 1);
      if (from === undefined) continue;
      const typeOnly = next.text === 'type' && !['from', ','].includes(all[i + 2]?.text);
      found.push({ specifier: from.text, typeOnly, line });
    }
  }
  return found;
}

/** `export { ... }`, `export * ...`, the same with `type`; not `export const` and its kin. */
function isReexport(all, i) {
  const next = all[i + 1]?.text === 'type' ? all[i + 2] : all[i + 1];
  return next?.text === '{' || next?.text === '*';
}

/** The string after `from` that ends the clause starting at `i`, if there is one. */
function fromClause(all, i) {
  let depth = 0;
  for (; i < all.length; i++) {
    const { kind, text } = all[i];
    if (text === '{') depth++;
    else if (text === '}') depth--;
    else if (depth > 0) continue;
    else if (kind === 'string' || text === ';' || text === '=') return undefined;
    else if (text === 'from' && all[i + 1]?.kind === 'string') return all[i + 1];
    // A clause holds words, commas, stars and braces; anything else begins the next statement.
    else if (kind !== 'word' && text !== ',' && text !== '*') return undefined;
    else if (['export', 'const', 'function', 'import'].includes(text)) return undefined;
  }
  return undefined;
}

/** Uses of the globals that only Node has, as `{ name, line }`. */
export function nodeGlobalsOf(source) {
  const all = tokens(source);
  return all
    .filter(
      ({ kind, text }, i) =>
        kind === 'word' &&
        ((['process', 'Buffer'].includes(text) && ['.', '?'].includes(all[i + 1]?.text)) ||
          ['__dirname', '__filename', 'setImmediate'].includes(text) ||
          (text === 'require' && all[i + 1]?.text === '(')) &&
        all[i - 1]?.text !== '.',
    )
    .map(({ text, line }) => ({ name: text, line }));
}
