import React from "react";
import type { CalendarStore } from "../store/calendarStore";
import { withAlpha } from "../util/color";
import { formatDuration } from "../util/duration";
import { EventChip } from "./EventChip";

interface Props {
  store: CalendarStore;
  from: number;
  days: number;
}

export function Agenda({ store, from, days }: Props): JSX.Element {
  const items = store.range(from, from + days * 86400);
  if (items.length === 0) return <p className="empty">Nothing planned.</p>;
  return (
    <ul className="agenda">
      {items.map((o) => (
        <li key={`${o.event.uid}:${o.start}`} style={{ background: withAlpha(store.calendar(o.event.calendarId).color, 0.12) }}>
          <EventChip title={o.event.summary} tentative={o.event.status === "tentative"} />
          <small>{formatDuration(o.end - o.start)}</small>
        </li>
      ))}
    </ul>
  );
}
