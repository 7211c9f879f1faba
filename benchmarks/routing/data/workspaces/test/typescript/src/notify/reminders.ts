import type { Alarm, CalendarEvent } from "../model/event";
import type { CalendarStore } from "../store/calendarStore";
import { formatDuration } from "../util/duration";

interface Due {
  uid: string;
  at: number;
  alarm: Alarm;
  text: string;
}

const HORIZON = 7 * 86400;

export class ReminderQueue {
  private due: Due[] = [];
  private fired = new Set<string>();

  constructor(private readonly store: CalendarStore) {}

  reschedule(event: CalendarEvent): void {
    this.cancel(event.uid);
    const now = this.store.now();
    for (const occurrence of this.store.range(now - 86400, now + HORIZON)) {
      if (occurrence.event.uid !== event.uid) continue;
      for (const alarm of event.alarms) {
        const at = occurrence.start + alarm.offset;
        const key = `${event.uid}:${at}:${alarm.channel}`;
        if (at < now || this.fired.has(key)) continue;
        this.due.push({ uid: event.uid, at, alarm, text: `${event.summary} in ${formatDuration(-alarm.offset)}` });
      }
    }
    this.due.sort((a, b) => a.at - b.at);
  }

  cancel(uid: string): void {
    this.due = this.due.filter((d) => d.uid !== uid);
  }

  take(now: number): Due[] {
    const ready = this.due.filter((d) => d.at <= now);
    this.due = this.due.filter((d) => d.at > now);
    for (const d of ready) this.fired.add(`${d.uid}:${d.at}:${d.alarm.channel}`);
    return ready;
  }
}
