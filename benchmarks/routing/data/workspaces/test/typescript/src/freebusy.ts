import type { CalendarStore } from "./store/calendarStore";

/** Blocks of time that are taken, joined where they touch. */
export function busyBlocks(store: CalendarStore, from: number, to: number): [number, number][] {
  const out: [number, number][] = [];
  for (const { event, start, end } of store.range(from, to)) {
    if (event.status === "tentative" || event.allDay) continue;
    const last = out[out.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else out.push([Math.max(start, from), Math.min(end, to)]);
  }
  return out;
}

export function firstGap(blocks: [number, number][], from: number, to: number, length: number): number | null {
  let cursor = from;
  for (const [start, end] of blocks) {
    if (start - cursor >= length) return cursor;
    cursor = Math.max(cursor, end);
  }
  return to - cursor >= length ? cursor : null;
}
