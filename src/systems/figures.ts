// Measured figures as words.

/** Four significant digits at most, without a tail of zeros. */
export function figureText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return value.toLocaleString('en-US');
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1);
  return String(Number(value.toPrecision(4)));
}

/** `error 3.1e-7, gap 31.5`; `not measured` where there is nothing. */
export function figuresText(measured: Readonly<Record<string, number>> | null): string {
  if (measured === null) return 'not measured';
  return Object.entries(measured)
    .map(([name, value]) => `${name} ${figureText(value)}`)
    .join(', ');
}
