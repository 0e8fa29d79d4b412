// The look of the report: one style sheet for paper, light and dark screens. Every colour that text
// has against its ground keeps a contrast of at least 4.5.

const LIGHT = `
  --page: #ffffff; --card: #f6f7f9; --ink: #1a1f26; --soft: #55606e; --line: #e4e8ed;
  --faint: #a3adb9; --front: #2f6fde; --chosen: #0b7f56; --warn: #b3500a; --bad: #b42318;
  --limit: #7a5af0; --zone: rgb(11 127 86 / 0.08); --rest: #9aa4b1;
  --stack-1: #3468cf; --stack-2: #e2894a; --stack-3: #2c9c8c; --stack-4: #c4527f;
  --stack-5: #8b6bd0; --stack-6: #b89b22; --stack-7: #5f8f3e; --stack-8: #4aa3cf;`;

const DARK = `
  --page: #14171b; --card: #1c2026; --ink: #e8ebef; --soft: #a0aab8; --line: #2b3139;
  --faint: #7a8592; --front: #74a9ff; --chosen: #3fce95; --warn: #f0a25a; --bad: #ff8a80;
  --limit: #a996ff; --zone: rgb(63 206 149 / 0.09); --rest: #69737f;
  --stack-1: #6d9cf5; --stack-2: #eba06a; --stack-3: #4fbcab; --stack-4: #dd7a9f;
  --stack-5: #a78ce6; --stack-6: #cfb548; --stack-7: #85b163; --stack-8: #74c0e6;`;

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
@media print { :root { color-scheme: light; ${LIGHT} } }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 48px 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 14px; margin: 0 0 8px; }
p { margin: 8px 0; max-width: 76ch; }
.soft, .note { color: var(--soft); }
.note { font-size: 13.5px; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.88em; }
code { overflow-wrap: anywhere; }
pre { background: var(--card); padding: 12px 14px; border-radius: 8px; overflow-x: auto; margin: 8px 0; }
.verdict { border: 1px solid var(--line); border-left: 5px solid var(--chosen); border-radius: 10px; background: var(--card); padding: 20px 22px; margin-top: 22px; }
.verdict.none { border-left-color: var(--warn); }
.verdict .name { font-size: 22px; font-weight: 700; color: var(--chosen); margin: 0; max-width: none; overflow-wrap: anywhere; }
.verdict.none .name { color: var(--warn); }
.verdict .chain { margin: 2px 0 0; color: var(--soft); }
.verdict ul { margin: 14px 0 0; padding-left: 20px; }
.verdict li { margin: 3px 0; max-width: 90ch; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin-top: 16px; }
.tile { background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
.tile dt { font-size: 12.5px; color: var(--soft); }
.tile dd { margin: 0; }
.tile .big { font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tile .small { font-size: 12.5px; color: var(--soft); font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 20px 32px; margin-top: 14px; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 6px; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 12px 0 0; padding: 0; list-style: none; font-size: 13px; color: var(--soft); }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 6px; vertical-align: -0.5px; }
.key i.square { border-radius: 2px; }
.key i.diamond { border-radius: 1px; transform: rotate(45deg) scale(0.85); }
.key i.hollow { background: none; border: 1.5px solid var(--faint); }
.key i.dash { border-radius: 0; width: 16px; height: 0; border-top: 2px dashed var(--limit); vertical-align: 3px; }
.scroll { overflow-x: auto; margin-top: 12px; border: 1px solid var(--line); border-radius: 8px; }
.scroll:focus-visible { outline: 2px solid var(--front); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--card); font-weight: 600; white-space: nowrap; }
th.n, td.n { text-align: right; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
tbody th .chain { font-weight: 400; color: var(--soft); font-size: 12.5px; white-space: normal; display: block; }
td .ratio { color: var(--soft); font-size: 12.5px; display: block; }
tbody th.candidate { white-space: normal; min-width: 300px; }
.why { display: block; font-weight: 400; font-size: 12.5px; line-height: 1.45; margin-top: 3px; }
tr.chosen > * { background: var(--zone); }
tr.chosen th { color: var(--chosen); }
tr.screened > *, tr.failed > * { color: var(--soft); }
.badge { display: inline-block; font-size: 11.5px; font-weight: 600; border-radius: 4px; padding: 0 6px; border: 1px solid currentColor; white-space: nowrap; }
.badge.front { color: var(--front); } .badge.chosen { color: var(--chosen); } .badge.near { color: var(--warn); }
.yes { color: var(--chosen); font-weight: 600; } .no { color: var(--bad); font-weight: 600; } .maybe { color: var(--warn); font-weight: 600; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 8px; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 12px 0 0; font-size: 14px; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 48px; padding-top: 14px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13px; }
@media (max-width: 560px) {
  main { padding: 24px 16px 48px; }
  h1 { font-size: 22px; } h2 { margin-top: 38px; }
  .verdict { padding: 16px 14px; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: 8px; }
  th, td { padding: 6px 9px; }
  tbody th.candidate { min-width: 220px; }
}
@media print { main { max-width: none; } .scroll { overflow: visible; } figure, tr { break-inside: avoid; } }
`;
