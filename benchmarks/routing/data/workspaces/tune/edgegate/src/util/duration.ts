const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "250ms", "3s", "2m" to milliseconds. */
export function parseDuration(text: string): number {
  const found = /^(\d+)(ms|s|m|h)$/.exec(text.trim());
  if (!found) {
    throw new Error(`not a duration: ${text}`);
  }
  return Number(found[1]) * UNITS[found[2]];
}

export function formatDuration(ms: number): string {
  return ms < 1000 ? `${ms}ms` : `${(ms / 1000).toFixed(1)}s`;
}
