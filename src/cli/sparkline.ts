// A curve in one line of text: eight heights.

const HEIGHTS = [...'▁▂▃▄▅▆▇█'];

/** Means of `width` equal stretches of the values; fewer where there are fewer values. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * values.length) / count);
    const part = values.slice(from, Math.floor(((i + 1) * values.length) / count));
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
  const finite = means.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  return means
    .map((mean) => {
      if (!Number.isFinite(mean)) return '!';
      const height = high > low ? (mean - low) / (high - low) : 0;
      return HEIGHTS[Math.round(height * (HEIGHTS.length - 1))];
    })
    .join('');
}
