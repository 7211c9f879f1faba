const cache = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string): Intl.DateTimeFormat {
  let f = cache.get(zone);
  if (!f) {
    f = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    cache.set(zone, f);
  }
  return f;
}

export interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** What a clock on the wall shows in `zone` at the instant `epoch` (seconds). */
export function toWall(epoch: number, zone: string): Wall {
  const out: Record<string, number> = {};
  for (const part of formatter(zone).formatToParts(new Date(epoch * 1000))) {
    if (part.type !== "literal") out[part.type] = Number(part.value);
  }
  return out as unknown as Wall;
}

export function offsetAt(epoch: number, zone: string): number {
  const w = toWall(epoch, zone);
  return Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute, w.second) / 1000 - epoch;
}

/** The instant at which clocks in `zone` show `wall`; in a gap the later one, in an overlap the earlier. */
export function fromWall(wall: Wall, zone: string): number {
  const naive = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second) / 1000;
  const first = naive - offsetAt(naive, zone);
  const second = naive - offsetAt(first, zone);
  if (first === second) return first;
  return offsetAt(second, zone) === naive - second ? Math.min(first, second) : Math.max(first, second);
}

export function startOfDay(epoch: number, zone: string): number {
  return fromWall({ ...toWall(epoch, zone), hour: 0, minute: 0, second: 0 }, zone);
}
