const UNITS: Record<string, number> = { W: 604800, D: 86400, H: 3600, M: 60, S: 1 };

/** Seconds in an RFC 5545 duration such as `PT15M` or `-P1D`. */
export function parseDuration(text: string): number {
  const match = /^([+-])?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text);
  if (!match) throw new RangeError(`not a duration: ${text}`);
  const [, sign, w, d, h, m, s] = match;
  const total =
    Number(w ?? 0) * UNITS.W + Number(d ?? 0) * UNITS.D + Number(h ?? 0) * UNITS.H + Number(m ?? 0) * UNITS.M + Number(s ?? 0);
  return sign === "-" ? -total : total;
}

export function formatDuration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}
