const PALETTE = ["#d93025", "#f29900", "#188038", "#1a73e8", "#9334e6", "#5f6368"];

/** A stable colour for a calendar that has none of its own. */
export function colorFor(calendarId: string): string {
  let sum = 0;
  for (const ch of calendarId) sum = (sum * 31 + ch.charCodeAt(0)) >>> 0;
  return PALETTE[sum % PALETTE.length];
}

export function withAlpha(hex: string, alpha: number): string {
  const a = Math.round(alpha * 255).toString(16).padStart(2, "0");
  return `${hex}${a}`;
}
