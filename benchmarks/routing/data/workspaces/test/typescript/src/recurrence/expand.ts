import type { CalendarEvent, Occurrence, RecurrenceRule } from "../model/event";
import { fromWall, toWall, type Wall } from "../time/zone";

const DAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
const LIMIT = 5000;

function weekday(w: Wall): number {
  return new Date(Date.UTC(w.year, w.month - 1, w.day)).getUTCDay();
}

function step(w: Wall, rule: RecurrenceRule): Wall {
  const d = new Date(Date.UTC(w.year, w.month - 1, w.day));
  switch (rule.freq) {
    case "DAILY":
      d.setUTCDate(d.getUTCDate() + rule.interval);
      break;
    case "WEEKLY":
      d.setUTCDate(d.getUTCDate() + (rule.byDay ? 1 : 7 * rule.interval));
      if (rule.byDay && d.getUTCDay() === 1 && rule.interval > 1) {
        d.setUTCDate(d.getUTCDate() + 7 * (rule.interval - 1));
      }
      break;
    case "MONTHLY":
      if (rule.byDay || rule.byMonthDay) d.setUTCDate(d.getUTCDate() + 1);
      else d.setUTCMonth(d.getUTCMonth() + rule.interval);
      break;
    case "YEARLY":
      d.setUTCFullYear(d.getUTCFullYear() + rule.interval);
      break;
  }
  return { ...w, year: d.getUTCFullYear(), month: d.getUTCMonth() + 1, day: d.getUTCDate() };
}

function matches(w: Wall, rule: RecurrenceRule): boolean {
  if (rule.byMonthDay && !rule.byMonthDay.includes(w.day)) return false;
  if (!rule.byDay) return true;
  const name = DAYS[weekday(w)];
  for (const entry of rule.byDay) {
    const m = /^([+-]?\d+)?([A-Z]{2})$/.exec(entry);
    if (!m || m[2] !== name) continue;
    if (!m[1]) return true;
    const nth = Number(m[1]);
    if (nth > 0 && Math.ceil(w.day / 7) === nth) return true;
    const last = new Date(Date.UTC(w.year, w.month, 0)).getUTCDate();
    if (nth < 0 && Math.ceil((last - w.day + 1) / 7) === -nth) return true;
  }
  return false;
}

/** Occurrences of `event` that overlap [from, to), in order. */
export function expand(event: CalendarEvent, from: number, to: number): Occurrence[] {
  const length = event.end - event.start;
  if (!event.rule) return event.start < to && event.end > from ? [{ event, start: event.start, end: event.end }] : [];
  const out: Occurrence[] = [];
  let wall = toWall(event.start, event.zone);
  let seen = 0;
  for (let i = 0; i < LIMIT; i++) {
    const start = fromWall(wall, event.zone);
    if (start >= to || (event.rule.until !== undefined && start > event.rule.until)) break;
    if (matches(wall, event.rule)) {
      seen++;
      if (event.rule.count !== undefined && seen > event.rule.count) break;
      if (start + length > from && !event.exDates.includes(start)) out.push({ event, start, end: start + length });
    }
    wall = step(wall, event.rule);
  }
  return out;
}
