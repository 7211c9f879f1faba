import type { CalendarEvent } from "../model/event";

export interface MergeResult {
  event: CalendarEvent;
  conflicts: (keyof CalendarEvent)[];
  identical: boolean;
}

const FIELDS: (keyof CalendarEvent)[] = ["summary", "location", "start", "end", "zone", "allDay", "rule", "status"];

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Three-way merge by field; where both sides changed a field, the server's value stands. */
export function merge(base: CalendarEvent | undefined, local: CalendarEvent, remote: CalendarEvent): MergeResult {
  const event: CalendarEvent = { ...remote };
  const conflicts: (keyof CalendarEvent)[] = [];
  for (const field of FIELDS) {
    const changedHere = !base || !same(base[field], local[field]);
    const changedThere = !base || !same(base[field], remote[field]);
    if (changedHere && !changedThere) Object.assign(event, { [field]: local[field] });
    else if (changedHere && changedThere && !same(local[field], remote[field])) conflicts.push(field);
  }
  event.exDates = [...new Set([...remote.exDates, ...local.exDates])].sort((a, b) => a - b);
  event.sequence = Math.max(local.sequence, remote.sequence) + (conflicts.length ? 1 : 0);
  return { event, conflicts, identical: FIELDS.every((f) => same(event[f], remote[f])) };
}
