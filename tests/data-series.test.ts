// Series from CSV: headers, columns, gaps, and what is refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSeries, type SeriesOptions } from '../src/data/series.js';
import { AnyformerError, toNumbers } from '../src/tensor/index.js';

const read = (text: string, options?: SeriesOptions) => {
  const { names, values, filled } = parseSeries(new TextEncoder().encode(text), options);
  const [rows, columns] = values.shape;
  const all = [...toNumbers(values)];
  const table = Array.from({ length: rows }, (_, r) => all.slice(r * columns, (r + 1) * columns));
  return { names, table, filled };
};
const refusal = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });

describe('a series', () => {
  it('gives numbers back, with and without a header', () => {
    const table = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }))
      .chain(([columns, rows]) => {
        const value = fc.double({ noNaN: true, noDefaultInfinity: true });
        const row = fc.array(value, { minLength: columns, maxLength: columns });
        return fc.array(row, { minLength: rows, maxLength: rows });
      });
    fc.assert(
      fc.property(table, fc.boolean(), fc.constantFrom('\n', '\r\n'), (numbers, named, end) => {
        const header = numbers[0].map((_, i) => `c${i}`);
        const lines = (named ? [header, ...numbers] : numbers).map((row) => row.join(','));
        const { names, table: found } = read(lines.join(end) + end);
        expect(found).toEqual(numbers.map((row) => row.map((x) => x + 0)));
        expect(names).toEqual(named ? header : header.map((_, i) => `column ${i + 1}`));
      }),
    );
  });

  it('leaves out what is no number, or takes the columns that are asked for', () => {
    const text = 'date,low,"high, max",place\n2026-01-01,1,2.5,x\n2026-01-02,-3e2,.5,y\n';
    expect(read(text)).toEqual({
      names: ['low', 'high, max'],
      table: [
        [1, 2.5],
        [-300, 0.5],
      ],
      filled: 0,
    });
    expect(read(text, { columns: ['high, max', 2] }).table).toEqual([
      [2.5, 1],
      [0.5, -300],
    ]);
    expect(read('1;2\n3;4', { delimiter: ';' }).table).toHaveLength(2);
    expect(read('2019,2020\n1,2', { header: true }).names).toEqual(['2019', '2020']);
    expect(read('\ufeffa\n1\n').names).toEqual(['a']);
  });

  it('refuses gaps, or fills them as asked', () => {
    const text = 'a,b\n1,4\n,5\nNA,?\n7,null\n';
    expect(() => read(text)).toThrow(/line 3, a: a value is missing/);
    expect(read(text, { gaps: 'previous' })).toMatchObject({
      table: [
        [1, 4],
        [1, 5],
        [1, 5],
        [7, 5],
      ],
      filled: 4,
    });
    expect(read(text, { gaps: 'linear' }).table).toEqual([
      [1, 4],
      [3, 5],
      [5, 5],
      [7, 5],
    ]);
    const late = 'a\nNA\n2\n';
    expect(read(late, { gaps: 'linear' }).table).toEqual([[2], [2]]);
    expect(() => read(late, { gaps: 'previous' })).toThrow(refusal('data/gap'));
    // In a single column a blank line is a gap; at the end it is none.
    expect(read('1\n\n3\n\n', { gaps: 'linear' }).table).toEqual([[1], [2], [3]]);
    expect(read('1,2\n\n3,4\n').table).toHaveLength(2);
  });

  it.each<[string, string, SeriesOptions, string]>([
    ['nothing', '', {}, 'data/no-rows'],
    ['a header alone', 'a,b\n', {}, 'data/no-rows'],
    ['no numbers', 'a,b\nx,y\n', {}, 'data/column'],
    ['only gaps', 'a\nNA\nNA\n', { gaps: 'linear' }, 'data/column'],
    ['a word among numbers', 'a\n1\ntwo\n', {}, 'data/number'],
    ['hexadecimal', 'a\n1\n0x10\n', {}, 'data/number'],
    ['infinity', 'a\n1\n1e999\n', {}, 'data/number'],
    ['a thousands comma', 'a\n1\n"1,234"\n', {}, 'data/number'],
    ['rows of different length', '1,2\n3\n', {}, 'data/csv'],
    ['an open quote', '1,2\n"3,4\n', {}, 'data/csv'],
    ['an unknown column', 'low,b\n1,2\n', { columns: ['lwo'] }, 'data/column'],
    ['a column beyond', '1,2\n', { columns: [3] }, 'data/column'],
    ['a column of dates', 'a,b\n1,x\n', { columns: ['b'] }, 'data/number'],
  ])('refuses %s', (_, text, options, code) => {
    expect(() => read(text, options)).toThrow(refusal(code));
  });

  it('any text gives a series or an error of ours', () => {
    const units = ['1', '.', 'e', '-', ',', '\n', '\r', '"', ' ', 'a', 'N', 'A', '\u0000', 'é'];
    const text = fc.string({ unit: fc.constantFrom(...units), maxLength: 60 });
    const gaps = fc.constantFrom('refuse', 'previous', 'linear' as const);
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), gaps, (given, fill) => {
        try {
          for (const row of read(given, { gaps: fill as 'refuse' }).table) {
            for (const value of row) expect(Number.isFinite(value)).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(AnyformerError);
        }
      }),
      { numRuns: 300 },
    );
    expect(() => parseSeries(Uint8Array.of(0x31, 0xff))).toThrow(refusal('data/utf8'));
  });
});
