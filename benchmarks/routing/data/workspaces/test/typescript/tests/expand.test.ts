import { describe, expect, it } from "vitest";
import { expand } from "../src/recurrence/expand";
import { parseRule } from "../src/recurrence/rule";
import type { CalendarEvent } from "../src/model/event";

const base: CalendarEvent = {
  uid: "a", calendarId: "c", summary: "stand-up", start: 1709542800, end: 1709543700, zone: "Europe/Berlin",
  allDay: false, exDates: [], attendees: [], alarms: [], sequence: 0, status: "confirmed",
};

describe("expand", () => {
  it("keeps the time on the wall over a change to summer time", () => {
    const event = { ...base, rule: parseRule("FREQ=WEEKLY;COUNT=6") };
    const starts = expand(event, 0, 2_000_000_000).map((o) => o.start);
    expect(starts).toHaveLength(6);
    expect(starts[4] - starts[3]).toBe(7 * 86400 - 3600);
  });

  it("leaves out excluded dates", () => {
    const event = { ...base, rule: parseRule("FREQ=DAILY;COUNT=3"), exDates: [base.start + 86400] };
    expect(expand(event, 0, 2_000_000_000)).toHaveLength(2);
  });
});
