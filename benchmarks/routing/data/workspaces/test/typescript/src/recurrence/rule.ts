import type { Frequency, RecurrenceRule } from "../model/event";

const FREQUENCIES: Frequency[] = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];

function parseStamp(text: string): number {
  const m = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z?)?$/.exec(text);
  if (!m) throw new RangeError(`not a date: ${text}`);
  return Date.UTC(+m[1], +m[2] - 1, +m[3], +(m[4] ?? 0), +(m[5] ?? 0), +(m[6] ?? 0)) / 1000;
}

export function parseRule(text: string): RecurrenceRule {
  const rule: Partial<RecurrenceRule> = { interval: 1 };
  for (const part of text.split(";")) {
    const [key, value] = part.split("=");
    switch (key) {
      case "FREQ":
        if (!FREQUENCIES.includes(value as Frequency)) throw new RangeError(`frequency ${value} is not supported`);
        rule.freq = value as Frequency;
        break;
      case "INTERVAL":
        rule.interval = Math.max(1, Number(value));
        break;
      case "COUNT":
        rule.count = Number(value);
        break;
      case "UNTIL":
        rule.until = parseStamp(value);
        break;
      case "BYDAY":
        rule.byDay = value.split(",");
        break;
      case "BYMONTHDAY":
        rule.byMonthDay = value.split(",").map(Number);
        break;
      case "BYSETPOS":
        rule.bySetPos = Number(value);
        break;
      default:
        break;
    }
  }
  if (!rule.freq) throw new RangeError("a rule needs FREQ");
  return rule as RecurrenceRule;
}

export function formatRule(rule: RecurrenceRule): string {
  const parts = [`FREQ=${rule.freq}`];
  if (rule.interval !== 1) parts.push(`INTERVAL=${rule.interval}`);
  if (rule.count !== undefined) parts.push(`COUNT=${rule.count}`);
  if (rule.byDay) parts.push(`BYDAY=${rule.byDay.join(",")}`);
  return parts.join(";");
}
