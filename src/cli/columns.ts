// Text in columns, for terminals.

export type Align = 'left' | 'right';

/** Lines of cells, each column as wide as its widest cell. */
export function columns(
  rows: readonly (readonly string[])[],
  align: readonly Align[],
  gap = '  ',
): string {
  const widths = align.map((_, i) => Math.max(...rows.map((row) => lengthOf(row[i] ?? ''))));
  const lines = rows.map((row) =>
    align
      .map((side, i) => {
        const cell = row[i] ?? '';
        const pad = ' '.repeat(widths[i] - lengthOf(cell));
        return side === 'right' ? pad + cell : cell + pad;
      })
      .join(gap)
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

const lengthOf = (text: string): number => [...text].length;
