import { describe, expect, it } from 'vitest';
import { assess } from '../../src/optimize/assess.js';
import { parseBudget } from '../../src/optimize/budget.js';
import { renderTable, tableRows } from '../../src/optimize/table.js';
import { candidates, original } from './example-run.js';

const assessment = assess({
  original,
  candidates,
  budget: parseBudget('latency<=0.6x, quality>=0.98x, size<=0.3x'),
});

const lines = (width: number) => renderTable(assessment, { width }).split('\n');

describe('the table', () => {
  it.each([200, 140, 120, 100, 80, 60])('fits %d columns, one line a candidate', (width) => {
    const text = lines(width);
    expect(Math.max(...text.slice(0, -1).map((line) => [...line].length))).toBeLessThanOrEqual(
      width,
    );
    expect(text).toHaveLength(2 + assessment.rows.length + 2);
    for (const [i, { candidate }] of assessment.rows.entries()) {
      expect(text[2 + i].slice(3)).toMatch(candidate.name.slice(0, 6));
    }
  });

  it('aligns its columns', () => {
    const [head, rule, ...rest] = lines(140);
    const starts = [...rule.matchAll(/(?<=^|\s)-/g)].map((match) => match.index);
    expect(starts.length).toBeGreaterThan(5);
    for (const line of [head, ...rest.slice(0, assessment.rows.length)]) {
      for (const start of starts.slice(1)) expect(line.slice(start - 2, start).trim()).toBe('');
    }
  });

  it('marks the chosen one and the front, and shows amounts when there is room', () => {
    const text = lines(200);
    expect(text.filter((line) => line.startsWith('>*'))).toEqual([
      expect.stringMatching(/lowrank-192\+int8\s+6\.44 MB\s+0\.23x\s+6\.66 ms\s+0\.56x/),
    ]);
    expect(text.find((line) => line.includes(' int4 '))).toMatch(/^ \*/);
    expect(text[text.length - 1]).toMatch(/> chosen/);
    expect(lines(80).join('\n')).not.toContain('MB');
  });

  it('lets no control character through', () => {
    const evil = { ...candidates[0], name: 'a\u001b[2Jb\nc' };
    const text = renderTable(
      assess({ original, candidates: [evil], budget: parseBudget('size<=0.5x') }),
    );
    expect(text).toContain('a?[2Jb?c');
    expect(text).not.toContain('\u001b');
  });

  it('gives the same as JSON', () => {
    const rows = JSON.parse(JSON.stringify(tableRows(assessment)));
    expect(rows).toHaveLength(assessment.rows.length);
    expect(rows[0]).toMatchObject({ name: 'original', chain: 'original', chosen: false });
    const chosen = rows.find((row: { chosen: boolean }) => row.chosen);
    expect(chosen).toMatchObject({
      name: 'lowrank-192+int8',
      chain: 'lowrank:rank=192 + int8',
      meetsBudget: true,
      onFront: true,
      why: '',
    });
    expect(chosen.metrics.size.ratio.value).toBeCloseTo(0.231, 12);
    expect(chosen.metrics.latency).toMatchObject({
      low: expect.any(Number),
      high: expect.any(Number),
    });
  });
});
