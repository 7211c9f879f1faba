import type { CalendarEvent } from "../model/event";
import type { Attendee, Partstat } from "../model/attendee";
import { parseDuration } from "../util/duration";
import { fromWall } from "../time/zone";

export interface ParsedEvent extends CalendarEvent {
  rawRule?: string;
}

interface Line {
  name: string;
  params: Record<string, string>;
  value: string;
}

function unfold(text: string): string[] {
  return text.replace(/\r\n?/g, "\n").replace(/\n[ \t]/g, "").split("\n").filter(Boolean);
}

function parseLine(raw: string): Line {
  const colon = raw.search(/:(?=(?:[^"]*"[^"]*")*[^"]*$)/);
  const [name, ...rest] = raw.slice(0, colon).split(";");
  const params: Record<string, string> = {};
  for (const part of rest) {
    const [k, v] = part.split("=");
    params[k.toUpperCase()] = v?.replace(/^"|"$/g, "") ?? "";
  }
  return { name: name.toUpperCase(), params, value: raw.slice(colon + 1) };
}

function stamp(line: Line): number {
  const m = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z)?)?$/.exec(line.value);
  if (!m) throw new RangeError(`${line.name} is not a date: ${line.value}`);
  const wall = { year: +m[1], month: +m[2], day: +m[3], hour: +(m[4] ?? 0), minute: +(m[5] ?? 0), second: +(m[6] ?? 0) };
  return fromWall(wall, m[7] ? "UTC" : line.params.TZID ?? "UTC");
}

function unescape(text: string): string {
  return text.replace(/\\n/gi, "\n").replace(/\\([,;\\])/g, "$1");
}

function attendee(line: Line): Attendee {
  return {
    email: line.value.replace(/^mailto:/i, ""),
    name: line.params.CN,
    partstat: (line.params.PARTSTAT ?? "needs-action").toLowerCase() as Partstat,
    organizer: line.name === "ORGANIZER",
  };
}

export function parseIcs(text: string): ParsedEvent[] {
  const out: ParsedEvent[] = [];
  let current: ParsedEvent | null = null;
  let alarm = false;
  for (const raw of unfold(text)) {
    const line = parseLine(raw);
    if (line.name === "BEGIN" && line.value === "VEVENT") {
      current = {
        uid: "", calendarId: "", summary: "", start: 0, end: 0, zone: "UTC", allDay: false,
        exDates: [], attendees: [], alarms: [], sequence: 0, status: "confirmed",
      };
    } else if (line.name === "BEGIN" && line.value === "VALARM") alarm = true;
    else if (line.name === "END" && line.value === "VALARM") alarm = false;
    else if (line.name === "END" && line.value === "VEVENT" && current) {
      if (current.uid) out.push(current);
      current = null;
    } else if (current && alarm) {
      if (line.name === "TRIGGER") current.alarms.push({ offset: parseDuration(line.value), channel: "popup" });
    } else if (current) {
      switch (line.name) {
        case "UID": current.uid = line.value; break;
        case "SUMMARY": current.summary = unescape(line.value); break;
        case "LOCATION": current.location = unescape(line.value); break;
        case "DTSTART":
          current.start = stamp(line);
          current.zone = line.params.TZID ?? "UTC";
          current.allDay = line.params.VALUE === "DATE";
          break;
        case "DTEND": current.end = stamp(line); break;
        case "DURATION": current.end = current.start + parseDuration(line.value); break;
        case "RRULE": current.rawRule = line.value; break;
        case "EXDATE": current.exDates.push(stamp(line)); break;
        case "RECURRENCE-ID": current.recurrenceId = stamp(line); break;
        case "SEQUENCE": current.sequence = Number(line.value); break;
        case "STATUS": current.status = line.value.toLowerCase() as CalendarEvent["status"]; break;
        case "ATTENDEE": case "ORGANIZER": current.attendees.push(attendee(line)); break;
      }
    }
  }
  return out;
}
