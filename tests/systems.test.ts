// Systems: thresholds, the catalogue, the ledger, the page made from it, and the command. What the
// built systems claim without training is measured here at its quick scale.
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { repository } from '../scripts/tree.mjs';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { parseBounds, within } from '../src/systems/bounds.js';
import { catalogue, chosen, isBuilt } from '../src/systems/catalogue.js';
import { dataReader } from '../src/systems/datasets.js';
import { systemsDocument } from '../src/systems/document.js';
import { figureText } from '../src/systems/figures.js';
import {
  addToLedger,
  type LedgerRecord,
  merged,
  parseLedger,
  readLedger,
} from '../src/systems/ledger.js';
import { pictures } from '../src/systems/metaformer/pictures.js';
import { parseScratchpad } from '../src/systems/nope/scratchpad.js';
import { runClaims } from '../src/systems/run.js';
import { system } from '../src/systems/system.js';
import { AnyformerError } from '../src/tensor/index.js';
import { cli } from './support/cli.js';

const folder = () => mkdtemp(join(tmpdir(), 'anyformer-systems-'));

describe('thresholds', () => {
  it('hold as they read', () => {
    const holds = (text: string, values: Record<string, number>) =>
      within(parseBounds(text), values);
    expect(holds('ratio <= 0.75', { ratio: 0.75 })).toBe(true);
    expect(holds('ratio < 0.75', { ratio: 0.75 })).toBe(false);
    expect(holds('gap >= 25 and low <= .1', { gap: 30, low: 0.05 })).toBe(true);
    expect(holds('gap >= 25 and low <= .1', { gap: 30, low: 0.2 })).toBe(false);
    expect(holds('count = 0', { count: 0 })).toBe(true);
  });

  it('hold for no figure that is missing or not a number', () => {
    fc.assert(
      fc.property(fc.constantFrom('<', '<=', '>', '>=', '='), fc.integer(), (relation, limit) => {
        const bounds = parseBounds(`x ${relation} ${limit}`);
        expect(within(bounds, {})).toBe(false);
        expect(within(bounds, { x: Number.NaN })).toBe(false);
      }),
    );
    expect(within(parseBounds('toString >= 0'), {})).toBe(false);
  });

  it.each(['', 'x', 'x <', 'x < y', 'x =< 3', 'x < 3 or y < 2', 'x < Infinity'])(
    'refuse %j',
    (text) => {
      expect(() => parseBounds(text)).toThrowError(
        expect.objectContaining({ code: 'systems/threshold' }),
      );
    },
  );
});

describe('the catalogue', () => {
  it('has every system once, in order', () => {
    expect(catalogue.map(({ id }) => id)).toEqual(Array.from({ length: 55 }, (_, i) => i + 1));
    expect(new Set(catalogue.map(({ slug }) => slug)).size).toBe(55);
  });

  it.each(catalogue.filter(isBuilt).map((entry) => [entry.slug, entry] as const))(
    '%s is the system that it says',
    async (_, entry) => {
      const { default: built } = await entry.load();
      expect(built).toMatchObject({ id: entry.id, slug: entry.slug });
      expect(built.claims.length).toBeGreaterThan(0);
    },
  );

  it('refuses numbers that are nobody, and those that are not built', () => {
    expect(() => chosen('17,99')).toThrowError(
      expect.objectContaining({ code: 'usage/system', found: '99' }),
    );
    expect(() => chosen('1')).toThrowError(
      expect.objectContaining({ what: expect.stringContaining('not built') }),
    );
    expect(chosen('42, 17,nope').map(({ id }) => id)).toEqual([42, 17]);
  });
});

const record = (system: string, claim: string, more: Partial<LedgerRecord> = {}): LedgerRecord => ({
  system,
  claim,
  paper: '1 | 2',
  measured: { error: 1e-7 },
  threshold: 'error < 1e-5',
  holds: true,
  seconds: 0.1,
  notes: [],
  mode: 'full',
  seed: 0,
  version: '0.1.0',
  date: '2026-01-02',
  machine: { cpu: 'c', cores: 2, platform: 'p', runtime: 'r', device: 'cpu', threads: 2 },
  ...more,
});

describe('the ledger', () => {
  it('keeps the last record of each claim and mode', async () => {
    const path = join(await folder(), 'deep', 'ledger.json');
    expect(await readLedger(path)).toEqual([]);
    await addToLedger(path, [record('42', 'a'), record('17', 'b')]);
    await addToLedger(path, [
      record('42', 'a', { seconds: 9 }),
      record('42', 'a', { mode: 'quick' }),
    ]);
    const kept = await readLedger(path);
    expect(kept.map(({ system, mode, seconds }) => [system, mode, seconds])).toEqual([
      ['17', 'full', 0.1],
      ['42', 'full', 9],
      ['42', 'quick', 0.1],
    ]);
  });

  it('merging twice is merging once', () => {
    const any = fc.record({
      system: fc.constantFrom('17', '42'),
      claim: fc.constantFrom('a', 'b', 'c'),
    });
    fc.assert(
      fc.property(fc.array(any), fc.array(any), (old, fresh) => {
        const [a, b] = [old, fresh].map((list) => list.map((one) => record(one.system, one.claim)));
        const once = merged(a, b);
        expect(merged(once, b)).toEqual(once);
      }),
    );
  });

  it('keeps figures that are no numbers as such', async () => {
    const path = join(await folder(), 'ledger.json');
    await addToLedger(path, [record('17', 'a', { measured: { x: Number.NaN }, holds: false })]);
    expect((await readLedger(path))[0].measured?.x).toBeNaN();
  });

  it.each(['', '[]', '{"records":[{}]}', '{"records":[],"more":1}', '{"records":{}}'])(
    'refuses %j, saying which file',
    (text) => {
      expect(() => parseLedger(text, 'x/ledger.json')).toThrowError(
        expect.objectContaining({
          code: 'systems/ledger',
          what: expect.stringContaining('x/ledger.json'),
        }),
      );
    },
  );
});

it('figures are short and exact where they can be', () => {
  expect([0, 11915176, 0.76543, 3.0001e-7, Number.NaN, 56.72].map(figureText)).toEqual([
    '0',
    '11,915,176',
    '0.7654',
    '3.0e-7',
    'NaN',
    '56.72',
  ]);
});

describe('docs/systems.md', () => {
  const ledger = join(repository, 'docs', 'ledger.json');
  it('is what the committed ledger gives', async () => {
    expect(existsSync(ledger)).toBe(true);
    const page = await systemsDocument(await readLedger(ledger));
    expect(readFileSync(join(repository, 'docs', 'systems.md'), 'utf8')).toBe(page);
  });

  it('shows every system, escapes its cells, and says what falls short', async () => {
    const { default: nope } = await import('../src/systems/17-nope.js');
    const [claim] = nope.claims;
    const falls = record('17', claim.says, {
      threshold: claim.thresholds.full?.text ?? '',
      paper: claim.paper,
      holds: false,
      notes: ['a note'],
    });
    const page = await systemsDocument([falls, record('17', 'a claim that is gone')]);
    for (const { title } of catalogue) expect(page).toContain(title);
    expect(page.match(/not built/g)?.length).toBe(catalogue.filter((e) => !isBuilt(e)).length);
    expect(page).toContain('**no**');
    expect(page).toContain('a note');
    expect(page).not.toContain('a claim that is gone');
  });
});

describe('running claims', () => {
  const run = async (measure: () => Promise<number>, device: Device): Promise<LedgerRecord[]> => {
    const made = system({
      id: 7,
      slug: 'x',
      family: 'block',
      paper: { title: 't', authors: 'a', venue: 'v' },
      claims: [
        { says: 'one', paper: 'p', holds: 'x < 1', measure },
        { says: 'full only', paper: 'p', holds: { full: 'x < 1' }, measure },
      ],
    });
    const entry = { id: 7, slug: 'x', title: 't', load: async () => ({ default: made }) };
    const records: LedgerRecord[] = [];
    const options = { device, mode: 'quick', seed: 3, date: '2026-01-02' } as const;
    for await (const one of runClaims([entry], { ...options, data: dataReader([]) })) {
      records.push(one);
    }
    return records;
  };

  it('records the figure, leaves out what has no quick scale, and tells missing data apart', async () => {
    await using device = await cpuDevice({ threads: 1 });
    const [found, ...others] = await run(async () => 0.5, device);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ system: '07', measured: { x: 0.5 }, holds: true, seed: 3 });
    const [missing] = await run(async () => {
      await dataReader(['/nowhere'])('no-such-set', 'file');
      return 0;
    }, device);
    expect(missing).toMatchObject({ measured: null, holds: false });
    expect(missing.notes[0]).toContain('data not present');
    const broken = run(async () => {
      throw new AnyformerError('x/y', { what: 'broken' });
    }, device);
    await expect(broken).rejects.toMatchObject({ code: 'x/y' });
  });

  it('two claims that say the same are refused', () => {
    const claim = { says: 'one', paper: 'p', holds: 'x < 1', measure: async () => 0 };
    const paper = { title: 't', authors: 'a', venue: 'v' };
    expect(() =>
      system({ id: 1, slug: 'x', family: 'block', paper, claims: [claim, claim] }),
    ).toThrowError(expect.objectContaining({ code: 'systems/claim' }));
  });
});

describe('Fashion-MNIST files', () => {
  const idx = (magic: number, sizes: readonly number[], bytes: number): Uint8Array<ArrayBuffer> => {
    const file = new Uint8Array(4 + 4 * sizes.length + bytes);
    const view = new DataView(file.buffer);
    [magic, ...sizes].forEach((value, i) => {
      view.setUint32(4 * i, value);
    });
    file.fill(7, 4 + 4 * sizes.length);
    return file;
  };
  const read = (images: Uint8Array, labels: Uint8Array) =>
    pictures(
      {
        device: {} as Device,
        mode: 'quick',
        seed: 0,
        signal: undefined,
        data: async (_, file) =>
          new Uint8Array(gzipSync(file.includes('images') ? images : labels)),
        progress: () => undefined,
        note: () => undefined,
      },
      'train',
    );
  const [images, labels] = [idx(0x803, [3, 28, 28], 3 * 784), idx(0x801, [3], 3)];

  it('are read', async () => {
    const { count, pixels, labels: read3 } = await read(images, labels);
    expect([count, pixels.length, read3.length, pixels[0]]).toEqual([3, 3 * 784, 3, 7]);
  });

  it.each([
    ['cut short', images.slice(0, -1), labels],
    ['of another size', idx(0x803, [3, 27, 28], 3 * 784), labels],
    ['that count more than they hold', idx(0x803, [2 ** 31, 28, 28], 3 * 784), labels],
    ['of labels in place of images', labels, labels],
    ['that are empty', images, new Uint8Array()],
  ])('%s are refused', async (_, broken, others) => {
    await expect(read(broken, others)).rejects.toMatchObject({ code: 'data/idx' });
  });

  it('with fewer labels than pictures are refused', async () => {
    await expect(read(images, idx(0x801, [2], 2))).rejects.toMatchObject({ code: 'data/idx' });
  });
});

it('scratchpads that are none are refused', () => {
  for (const text of ['', 'Thinking step by step:  in 3', 'in 3. Thus, 4']) {
    expect(() => parseScratchpad(text)).toThrowError(
      expect.objectContaining({ code: 'systems/scratchpad' }),
    );
  }
  expect(parseScratchpad('Thinking step by step:  in 3 out 4 # re x y. Thus, z')).toEqual({
    steps: [{ input: '3', output: '4' }, { remaining: 'x y' }],
    answer: 'z',
  });
});

describe('anyformer reproduce', () => {
  it.each([['99'], ['1'], ['17,'], ['nope', 'extra'], ['--mode', 'x']])(
    'ends with 2 on misuse: %s',
    async (...argv) => {
      expect((await cli('reproduce', ...argv)).code).toBe(2);
    },
  );

  it('lists all systems', async () => {
    const { code, stdout } = await cli('reproduce', '--list', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveLength(55);
  });

  it('tells a broken ledger before it measures', async () => {
    const path = join(await folder(), 'ledger.json');
    await writeFile(path, '{');
    const { code, stderr } = await cli('reproduce', '17', '--quick', '--ledger', path);
    expect(code).toBe(1);
    expect(stderr).toContain('systems/ledger');
    expect(await readFile(path, 'utf8')).toBe('{');
  });

  it.each(['17', '41', '42'])(
    'system %s: every claim that needs no data holds at the quick scale',
    async (number) => {
      const path = join(await folder(), 'ledger.json');
      const options = ['--quick', '--json', '--data', '/nowhere', '--ledger', path];
      const { code, stdout } = await cli('reproduce', number, ...options);
      const found: LedgerRecord[] = JSON.parse(stdout);
      const keys = ['system', 'claim', 'paper', 'measured', 'threshold', 'holds', 'seconds'];
      for (const one of found) {
        expect(Object.keys(one)).toEqual(expect.arrayContaining(keys));
        expect(one.system).toBe(number);
        if (one.measured !== null) expect([one.claim, one.holds]).toEqual([one.claim, true]);
      }
      expect(found.length).toBeGreaterThan(6);
      expect(code).toBe(found.every(({ holds }) => holds) ? 0 : 1);
      expect(await readLedger(path)).toHaveLength(found.length);
    },
    120_000,
  );
});
