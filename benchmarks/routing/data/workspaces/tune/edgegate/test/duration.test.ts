import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "../src/util/duration.js";

test("reads units", () => {
  expect(parseDuration("250ms")).toBe(250);
  expect(parseDuration("2m")).toBe(120_000);
});

test("writes seconds", () => {
  expect(formatDuration(1500)).toBe("1.5s");
});
