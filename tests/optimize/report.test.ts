import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { escapeHtml, html, jsonIsland } from '../../src/optimize/html.js';
import { renderReport, reportJson } from '../../src/optimize/report.js';
import { candidates, original, reportData } from './example-run.js';

const open = async (budget: string) => {
  const data = reportData(budget);
  const text = await renderReport(data);
  return { data, text, document: parseHTML(text).document };
};

const FITS = 'latency<=0.6x, quality>=0.98x, size<=0.3x';
const NONE = 'latency<=5ms, accuracy>=97%';

describe('html', () => {
  it('escapes every value and nothing of its own', () => {
    const evil = `<b a="1" c='2'>&\0`;
    expect(
      html`<p title="${evil}">${[evil, html`<i>${evil}</i>`, undefined, false, 0]}</p>`.text,
    ).toBe(`<p title="${escapeHtml(evil)}">${escapeHtml(evil)}<i>${escapeHtml(evil)}</i>0</p>`);
    expect(escapeHtml(evil)).toBe('&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\ufffd');
  });

  it('keeps JSON inside its script element', () => {
    const { text } = jsonIsland('x', { a: '</script><!--<script>' });
    expect(text.match(/<\/script/g)).toHaveLength(1);
    expect(JSON.parse(text.slice(text.indexOf('\n'), text.lastIndexOf('\n')))).toEqual({
      a: '</script><!--<script>',
    });
  });
});

describe('the report', () => {
  it('names every candidate with its reason, and the chosen one first', async () => {
    const { document, data } = await open(FITS);
    const rows = [...document.querySelectorAll('[aria-label="Candidates"] tbody tr')];
    expect(rows).toHaveLength(candidates.length + 1);
    data.assessment.rows.forEach(({ candidate, why }, i) => {
      expect(rows[i].textContent).toContain(candidate.name);
      expect(rows[i].textContent).toContain(why);
    });
    expect(document.querySelector('.verdict .name')?.textContent).toBe('Chosen: lowrank-192+int8');
    expect(document.querySelectorAll('tr.chosen')).toHaveLength(1);
    const page = document.querySelector('main')?.textContent ?? '';
    for (const fact of [
      data.command,
      data.machine.cpu,
      '1.93, 0.88, 0.41',
      'onnxruntime-node',
      ...data.method,
    ]) {
      expect(page).toContain(fact);
    }
  });

  it('says honestly that nothing fits', async () => {
    const { document, data } = await open(NONE);
    expect(data.assessment.recommendation.chosen).toBeUndefined();
    expect(document.querySelector('.verdict.none .name')?.textContent).toContain('Nothing');
    expect(document.querySelectorAll('tr.chosen')).toHaveLength(0);
    expect(document.querySelector('.badge.near')).not.toBeNull();
  });

  it('draws six figures with names, descriptions and no two ids alike', async () => {
    const { document } = await open(FITS);
    const figures = [...document.querySelectorAll('figure svg')];
    expect(figures).toHaveLength(6);
    for (const svg of figures) {
      const name = svg.getAttribute('aria-labelledby') ?? '';
      expect(document.getElementById(name)?.textContent).toMatch(/\w/);
      const about = svg.getAttribute('aria-describedby') ?? '';
      expect(document.getElementById(about)?.textContent).toContain('original');
    }
    const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
    expect(new Set(ids).size).toBe(ids.length);
    // Every confirmed candidate is a mark with its tooltip, in both scatter plots.
    for (const svg of figures.slice(0, 2)) {
      const tips = [...svg.querySelectorAll('title')].map((title) => title.textContent);
      for (const { name, stage } of [original, ...candidates]) {
        if (stage === 'confirmed')
          expect(tips.some((tip) => tip?.startsWith(`${name}\n`))).toBe(true);
      }
    }
    expect(figures[0].outerHTML).not.toContain('NaN');
  });

  it('needs no network and runs nothing', async () => {
    const { text, document } = await open(FITS);
    const scripts = [...document.querySelectorAll('script')];
    expect(scripts.map((script) => script.getAttribute('type'))).toEqual(['application/json']);
    expect(
      document.querySelectorAll('link, img, iframe, object, embed, base, a[href]'),
    ).toHaveLength(0);
    expect(text).not.toMatch(/\b(src|href|srcset|on\w+)=|@import|url\(/i);
    expect(document.querySelector('meta[http-equiv]')?.getAttribute('content')).toContain(
      "default-src 'none'",
    );
    // The name and the option with markup in them are text.
    expect(document.querySelectorAll('main b')).toHaveLength(0);
    expect(document.querySelector('main')?.textContent).toContain(
      '</script><script>alert(1)</script>',
    );
  });

  it('carries its data', async () => {
    const { document, data } = await open(FITS);
    const json = JSON.parse(document.getElementById('anyformer-data')?.textContent ?? '');
    expect(json).toEqual(JSON.parse(JSON.stringify(reportJson(data))));
    expect(json).toMatchObject({ format: 'anyformer-report-1', chosen: 'lowrank-192+int8' });
    expect(json.candidates).toHaveLength(candidates.length + 1);
  });

  it('stands without modules, without quality, with the original alone', async () => {
    const data = reportData(FITS);
    const { size } = original.metrics;
    const bare = { ...original, metrics: { size } };
    const { assess } = await import('../../src/optimize/assess.js');
    const alone = assess({ original: bare, candidates: [], budget: data.assessment.budget });
    const { document } = parseHTML(
      await renderReport({ ...data, assessment: alone, modules: undefined, quality: [] }),
    );
    expect(document.querySelectorAll('figure')).toHaveLength(0);
    expect(document.querySelector('.verdict .name')?.textContent).toContain('Nothing');
  });
});
