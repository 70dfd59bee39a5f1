/** `1.5 MiB`; exact below 1024 bytes. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1_023.95 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `2026-11-23 06:07` in UTC. */
export function formatDay(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

const hourMs = 3_600_000;
const unitMs = { h: hourMs, d: 24 * hourMs, w: 7 * 24 * hourMs } as const;
const DURATION_MS_MAX = 100 * 366 * 24 * hourMs;

/** A whole number of hours, days or weeks, from one hour to a hundred years: `12h`, `90d`, `4w`. In milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const found = /^([1-9]\d{0,6})([hdw])$/.exec(text);
  if (found?.[1] === undefined) return undefined;
  const ms = Number(found[1]) * unitMs[found[2] as keyof typeof unitMs];
  return ms <= DURATION_MS_MAX ? ms : undefined;
}

/** Text that cannot steer a terminal. Newlines stay. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => (character === '\n' ? character : '\uFFFD'));
}
