import type { CalendarEvent, Occurrence } from "../model/event";
import type { Attendee, Partstat } from "../model/attendee";
import { expand } from "../recurrence/expand";
import { parseRule } from "../recurrence/rule";
import { CalDavClient, type RemoteChange } from "../sync/caldav";
import { merge, type MergeResult } from "../sync/conflict";
import { ReminderQueue } from "../notify/reminders";
import { parseIcs } from "../ics/parse";
import { writeIcs } from "../ics/write";
import { colorFor } from "../util/color";
import { busyBlocks } from "../freebusy";
import { startOfDay } from "../time/zone";

export type Scope = "this" | "following" | "all";

interface Pending {
  uid: string;
  kind: "put" | "delete";
  attempts: number;
  since: number;
}

export interface CalendarInfo {
  id: string;
  name: string;
  color: string;
  url?: string;
  readOnly: boolean;
  syncToken?: string;
}

export interface StoreOptions {
  userEmail: string;
  client?: CalDavClient;
  now?: () => number;
}

type Listener = (uids: string[]) => void;

/** Everything that the application knows of calendars: events, their overrides, what awaits upload, reminders. */
export class CalendarStore {
  private events = new Map<string, CalendarEvent>();
  private overrides = new Map<string, Map<number, CalendarEvent>>();
  private calendars = new Map<string, CalendarInfo>();
  private pending: Pending[] = [];
  private listeners = new Set<Listener>();
  private base = new Map<string, CalendarEvent>();
  private rangeCache = new Map<string, Occurrence[]>();
  private syncing = false;
  private dirtyWhileSyncing = new Set<string>();
  readonly reminders: ReminderQueue;

  constructor(private readonly options: StoreOptions) {
    this.reminders = new ReminderQueue(this);
  }

  now(): number {
    return this.options.now ? this.options.now() : Math.floor(Date.now() / 1000);
  }

  addCalendar(info: Omit<CalendarInfo, "color"> & { color?: string }): CalendarInfo {
    const full = { ...info, color: info.color ?? colorFor(info.id) };
    this.calendars.set(full.id, full);
    return full;
  }

  calendar(id: string): CalendarInfo {
    const info = this.calendars.get(id);
    if (!info) throw new Error(`no calendar ${id}`);
    return info;
  }

  get(uid: string): CalendarEvent | undefined {
    return this.events.get(uid);
  }

  all(): CalendarEvent[] {
    return [...this.events.values()];
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private emit(uids: string[]): void {
    this.rangeCache.clear();
    for (const uid of uids) {
      const event = this.events.get(uid);
      if (event) this.reminders.reschedule(event);
      else this.reminders.cancel(uid);
    }
    for (const listener of this.listeners) {
      try {
        listener(uids);
      } catch (error) {
        console.error("listener failed", error);
      }
    }
  }

  private enqueue(uid: string, kind: Pending["kind"]): void {
    const existing = this.pending.find((p) => p.uid === uid);
    if (this.syncing) this.dirtyWhileSyncing.add(uid);
    if (existing) {
      if (existing.kind === "put" && kind === "delete") {
        if (!this.base.has(uid)) this.pending = this.pending.filter((p) => p !== existing);
        else existing.kind = "delete";
      } else if (existing.kind === "delete" && kind === "put") {
        existing.kind = "put";
      }
      return;
    }
    this.pending.push({ uid, kind, attempts: 0, since: this.now() });
  }

  private canWrite(event: CalendarEvent): boolean {
    const info = this.calendar(event.calendarId);
    if (info.readOnly) return false;
    const organizer = event.attendees.find((a) => a.organizer);
    return !organizer || organizer.email === this.options.userEmail;
  }

  put(event: CalendarEvent): void {
    if (event.end < event.start) throw new RangeError("an event cannot end before it starts");
    const old = this.events.get(event.uid);
    if (old && !this.canWrite(old)) throw new Error("this event belongs to somebody else");
    if (old && (old.start !== event.start || old.end !== event.end || old.rule !== event.rule)) {
      event = { ...event, sequence: old.sequence + 1 };
      if (old.rule && event.rule && old.start !== event.start) {
        const shift = event.start - old.start;
        event.exDates = old.exDates.map((d) => d + shift);
        const moved = new Map<number, CalendarEvent>();
        for (const [id, override] of this.overrides.get(event.uid) ?? []) {
          moved.set(id + shift, { ...override, recurrenceId: id + shift });
        }
        if (moved.size) this.overrides.set(event.uid, moved);
      }
      for (const attendee of event.attendees) {
        if (!attendee.organizer && attendee.partstat === "accepted") attendee.partstat = "needs-action";
      }
    }
    this.events.set(event.uid, event);
    this.enqueue(event.uid, "put");
    this.emit([event.uid]);
  }

  edit(uid: string, at: number, change: Partial<CalendarEvent>, scope: Scope): void {
    const master = this.events.get(uid);
    if (!master) throw new Error(`no event ${uid}`);
    if (!this.canWrite(master)) throw new Error("this event belongs to somebody else");
    if (!master.rule || scope === "all") {
      this.put({ ...master, ...change });
      return;
    }
    if (scope === "this") {
      const length = master.end - master.start;
      const override: CalendarEvent = {
        ...master,
        start: at,
        end: at + length,
        ...change,
        rule: undefined,
        recurrenceId: at,
      };
      const table = this.overrides.get(uid) ?? new Map<number, CalendarEvent>();
      table.set(at, override);
      this.overrides.set(uid, table);
      this.enqueue(uid, "put");
      this.emit([uid]);
      return;
    }
    const before = { ...master, rule: { ...master.rule, count: undefined, until: at - 1 } };
    const length = master.end - master.start;
    const after: CalendarEvent = {
      ...master,
      uid: `${uid}-${at}`,
      start: at,
      end: at + length,
      ...change,
      exDates: master.exDates.filter((d) => d >= at),
      etag: undefined,
    };
    if (master.rule.count !== undefined) {
      const used = expand(master, master.start, at).length;
      after.rule = { ...master.rule, count: master.rule.count - used };
    }
    const kept = new Map<number, CalendarEvent>();
    const moved = new Map<number, CalendarEvent>();
    for (const [id, override] of this.overrides.get(uid) ?? []) {
      if (id < at) kept.set(id, override);
      else moved.set(id, { ...override, uid: after.uid });
    }
    this.overrides.set(uid, kept);
    this.overrides.set(after.uid, moved);
    this.events.set(uid, before);
    this.events.set(after.uid, after);
    this.enqueue(uid, "put");
    this.enqueue(after.uid, "put");
    this.emit([uid, after.uid]);
  }

  remove(uid: string, at: number | null, scope: Scope): void {
    const master = this.events.get(uid);
    if (!master) return;
    if (!this.canWrite(master)) {
      this.respond(uid, "declined");
      return;
    }
    if (!master.rule || scope === "all" || at === null) {
      this.events.delete(uid);
      this.overrides.delete(uid);
      this.enqueue(uid, "delete");
    } else if (scope === "this") {
      this.overrides.get(uid)?.delete(at);
      this.events.set(uid, { ...master, exDates: [...master.exDates, at] });
      this.enqueue(uid, "put");
    } else if (at <= master.start) {
      this.events.delete(uid);
      this.enqueue(uid, "delete");
    } else {
      this.events.set(uid, { ...master, rule: { ...master.rule, count: undefined, until: at - 1 } });
      this.enqueue(uid, "put");
    }
    this.emit([uid]);
  }

  respond(uid: string, partstat: Partstat): void {
    const event = this.events.get(uid);
    if (!event) return;
    const attendees: Attendee[] = event.attendees.map((a) =>
      a.email === this.options.userEmail ? { ...a, partstat } : a,
    );
    this.events.set(uid, { ...event, attendees });
    this.enqueue(uid, "put");
    this.emit([uid]);
  }

  range(from: number, to: number, calendarIds?: string[]): Occurrence[] {
    const key = `${from}:${to}:${calendarIds?.join(",") ?? "*"}`;
    const cached = this.rangeCache.get(key);
    if (cached) return cached;
    const out: Occurrence[] = [];
    for (const event of this.events.values()) {
      if (calendarIds && !calendarIds.includes(event.calendarId)) continue;
      if (event.status === "cancelled") continue;
      const overrides = this.overrides.get(event.uid);
      for (const occurrence of expand(event, from, to)) {
        const override = overrides?.get(occurrence.start);
        if (!override) out.push(occurrence);
        else if (override.status !== "cancelled" && override.start < to && override.end > from) {
          out.push({ event: override, start: override.start, end: override.end });
        }
      }
      for (const [id, override] of overrides ?? []) {
        if ((id < from || id >= to) && override.start < to && override.end > from) {
          out.push({ event: override, start: override.start, end: override.end });
        }
      }
    }
    out.sort((a, b) => a.start - b.start || b.end - a.end || a.event.uid.localeCompare(b.event.uid));
    this.rangeCache.set(key, out);
    return out;
  }

  day(epoch: number, zone: string): Occurrence[] {
    const from = startOfDay(epoch, zone);
    return this.range(from, startOfDay(from + 90000, zone));
  }

  busy(from: number, to: number): [number, number][] {
    return busyBlocks(this, from, to);
  }

  importIcs(text: string, calendarId: string): { added: number; updated: number; skipped: number } {
    const counts = { added: 0, updated: 0, skipped: 0 };
    const touched: string[] = [];
    for (const item of parseIcs(text)) {
      const event: CalendarEvent = { ...item, calendarId };
      if (item.rawRule) event.rule = parseRule(item.rawRule);
      const old = this.events.get(event.uid);
      if (event.recurrenceId !== undefined) {
        const table = this.overrides.get(event.uid) ?? new Map<number, CalendarEvent>();
        table.set(event.recurrenceId, event);
        this.overrides.set(event.uid, table);
        counts.updated++;
      } else if (!old) {
        this.events.set(event.uid, event);
        counts.added++;
      } else if (event.sequence > old.sequence || (event.sequence === old.sequence && this.canWrite(old))) {
        this.events.set(event.uid, { ...event, etag: old.etag });
        counts.updated++;
      } else {
        counts.skipped++;
        continue;
      }
      this.enqueue(event.uid, "put");
      touched.push(event.uid);
    }
    if (touched.length) this.emit(touched);
    return counts;
  }

  exportIcs(calendarId: string): string {
    const chosen = this.all().filter((e) => e.calendarId === calendarId);
    const extra = chosen.flatMap((e) => [...(this.overrides.get(e.uid)?.values() ?? [])]);
    return writeIcs([...chosen, ...extra]);
  }

  async sync(): Promise<void> {
    const client = this.options.client;
    if (!client || this.syncing) return;
    this.syncing = true;
    this.dirtyWhileSyncing.clear();
    try {
      for (const info of this.calendars.values()) {
        if (!info.url) continue;
        let changes: RemoteChange[];
        try {
          const page = await client.changes(info.url, info.syncToken);
          changes = page.changes;
          info.syncToken = page.token;
        } catch (error) {
          if ((error as { status?: number }).status === 410) {
            info.syncToken = undefined;
            continue;
          }
          throw error;
        }
        const touched: string[] = [];
        for (const change of changes) {
          const local = this.events.get(change.uid);
          const base = this.base.get(change.uid);
          const isPending = this.pending.some((p) => p.uid === change.uid);
          if (change.deleted) {
            if (isPending && local && base && local.sequence > base.sequence) continue;
            this.events.delete(change.uid);
            this.overrides.delete(change.uid);
            this.base.delete(change.uid);
          } else if (!local || !isPending) {
            this.events.set(change.uid, change.event);
            this.base.set(change.uid, change.event);
          } else {
            const result: MergeResult = merge(base, local, change.event);
            this.events.set(change.uid, result.event);
            this.base.set(change.uid, change.event);
            if (result.identical) this.pending = this.pending.filter((p) => p.uid !== change.uid);
          }
          touched.push(change.uid);
        }
        if (touched.length) this.emit(touched);
      }
      await this.push(client);
    } finally {
      this.syncing = false;
    }
  }

  private async push(client: CalDavClient): Promise<void> {
    const rest: Pending[] = [];
    for (const item of this.pending) {
      const event = this.events.get(item.uid);
      try {
        if (item.kind === "delete") {
          await client.remove(item.uid, this.base.get(item.uid)?.etag);
          this.base.delete(item.uid);
        } else if (event) {
          const etag = await client.put(event);
          const saved = { ...event, etag };
          if (!this.dirtyWhileSyncing.has(item.uid)) this.events.set(item.uid, saved);
          this.base.set(item.uid, saved);
        }
        if (this.dirtyWhileSyncing.has(item.uid)) rest.push({ ...item, kind: "put", attempts: 0 });
      } catch (error) {
        const status = (error as { status?: number }).status;
        if (status === 412) rest.push({ ...item, attempts: item.attempts + 1 });
        else if (status === 403 || status === 404) continue;
        else if (item.attempts < 8) rest.push({ ...item, attempts: item.attempts + 1 });
        else console.error(`gave up on ${item.uid}`, error);
      }
    }
    this.pending = rest;
  }
}
