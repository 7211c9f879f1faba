import type { CalendarEvent } from "../model/event";
import { formatRule } from "../recurrence/rule";
import { toWall } from "../time/zone";
import { pad2, pad4 } from "../util/pad";

function fold(line: string): string {
  const out: string[] = [];
  while (line.length > 75) {
    out.push(line.slice(0, 75));
    line = " " + line.slice(75);
  }
  out.push(line);
  return out.join("\r\n");
}

function escape(text: string): string {
  return text.replace(/([,;\\])/g, "\\$1").replace(/\n/g, "\\n");
}

function stamp(epoch: number): string {
  const w = toWall(epoch, "UTC");
  return `${pad4(w.year)}${pad2(w.month)}${pad2(w.day)}T${pad2(w.hour)}${pad2(w.minute)}${pad2(w.second)}Z`;
}

export function writeIcs(events: CalendarEvent[]): string {
  const lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//almanac//EN"];
  for (const e of events) {
    lines.push("BEGIN:VEVENT", `UID:${e.uid}`, `SUMMARY:${escape(e.summary)}`);
    lines.push(`DTSTART:${stamp(e.start)}`, `DTEND:${stamp(e.end)}`, `SEQUENCE:${e.sequence}`);
    if (e.location) lines.push(`LOCATION:${escape(e.location)}`);
    if (e.rule) lines.push(`RRULE:${formatRule(e.rule)}`);
    for (const d of e.exDates) lines.push(`EXDATE:${stamp(d)}`);
    lines.push("END:VEVENT");
  }
  lines.push("END:VCALENDAR");
  return lines.map(fold).join("\r\n") + "\r\n";
}
