import type { Attendee } from "./attendee";

export type Frequency = "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY";

export interface RecurrenceRule {
  freq: Frequency;
  interval: number;
  count?: number;
  until?: number;
  byDay?: string[];
  byMonthDay?: number[];
  bySetPos?: number;
}

export interface Alarm {
  /** Seconds relative to the start, negative before it. */
  offset: number;
  channel: "popup" | "mail" | "push";
}

export interface CalendarEvent {
  uid: string;
  calendarId: string;
  summary: string;
  location?: string;
  start: number;
  end: number;
  zone: string;
  allDay: boolean;
  rule?: RecurrenceRule;
  exDates: number[];
  recurrenceId?: number;
  attendees: Attendee[];
  alarms: Alarm[];
  sequence: number;
  etag?: string;
  status: "confirmed" | "tentative" | "cancelled";
}

export interface Occurrence {
  event: CalendarEvent;
  start: number;
  end: number;
}
