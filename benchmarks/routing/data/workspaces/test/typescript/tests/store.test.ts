import { expect, it } from "vitest";
import { CalendarStore } from "../src/store/calendarStore";

it("splits a series where the rest of it is edited", () => {
  const store = new CalendarStore({ userEmail: "me@example.org", now: () => 1709542800 });
  store.addCalendar({ id: "c", name: "Work", readOnly: false });
  store.put({
    uid: "a", calendarId: "c", summary: "1:1", start: 1709542800, end: 1709544600, zone: "UTC", allDay: false,
    rule: { freq: "WEEKLY", interval: 1, count: 10 }, exDates: [], attendees: [], alarms: [], sequence: 0, status: "confirmed",
  });
  store.edit("a", 1709542800 + 3 * 604800, { summary: "moved" }, "following");
  expect(store.all()).toHaveLength(2);
  expect(store.get(`a-${1709542800 + 3 * 604800}`)?.rule?.count).toBe(7);
});
