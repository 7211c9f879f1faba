import type { CalendarStore } from "../store/calendarStore";
import { startOfDay, toWall } from "../time/zone";

export interface Cell {
  epoch: number;
  day: number;
  inMonth: boolean;
  count: number;
}

export function monthGrid(store: CalendarStore, year: number, month: number, zone: string): Cell[][] {
  const first = Date.UTC(year, month - 1, 1, 12) / 1000;
  const lead = (new Date(first * 1000).getUTCDay() + 6) % 7;
  const weeks: Cell[][] = [];
  for (let w = 0; w < 6; w++) {
    const row: Cell[] = [];
    for (let d = 0; d < 7; d++) {
      const epoch = startOfDay(first + (w * 7 + d - lead) * 86400, zone);
      const wall = toWall(epoch, zone);
      row.push({ epoch, day: wall.day, inMonth: wall.month === month, count: store.day(epoch, zone).length });
    }
    weeks.push(row);
  }
  return weeks;
}
