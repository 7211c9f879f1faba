import { expect, it } from "vitest";
import { formatDuration, parseDuration } from "../src/util/duration";

it("reads and writes durations", () => {
  expect(parseDuration("-PT15M")).toBe(-900);
  expect(formatDuration(5400)).toBe("1 h 30 min");
});
