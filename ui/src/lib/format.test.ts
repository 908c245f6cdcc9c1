import { describe, expect, it } from "vitest";

import { clock, count, moment, size, spokenLength, timeLeft } from "./format";

describe("clock", () => {
  it.each([
    [0, "0:00"],
    [999, "0:00"],
    [7_000, "0:07"],
    [754_300, "12:34"],
    [3_599_999, "59:59"],
    [3_723_000, "1:02:03"],
    [90_000_000, "25:00:00"],
    [-5, "0:00"],
  ])("writes %d ms as %s", (ms, text) => expect(clock(ms)).toBe(text));
});

describe("spokenLength", () => {
  it.each([
    [0, "0 seconds"],
    [1_000, "1 second"],
    [60_000, "1 minute"],
    [3_723_000, "1 hour 2 minutes 3 seconds"],
    [36_000_000, "10 hours"],
  ])("says %d ms as %s", (ms, text) => expect(spokenLength(ms)).toBe(text));
});

describe("timeLeft", () => {
  it.each([
    [0, "a moment left"],
    [4_200, "a moment left"],
    [5_001, "10 s left"],
    [36_000, "40 s left"],
    [60_000, "1 min left"],
    [110_000, "2 min left"],
    [3_900_000, "1 h 5 min left"],
  ])("says %d ms as %s", (ms, text) => expect(timeLeft(ms)).toBe(text));
});

describe("size", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_500, "1.5 kB"],
    [17_284_096, "17.3 MB"],
    [99_949_000, "99.9 MB"],
    [99_960_000, "100 MB"],
    [999_499_000, "999 MB"],
    [999_600_000, "1.0 GB"],
    [4_300_000_000, "4.3 GB"],
  ])("writes %d bytes as %s", (bytes, text) => expect(size(bytes)).toBe(text));
});

it("counts one and many", () => {
  expect(count(1, "channel")).toBe("1 channel");
  expect(count(0, "channel")).toBe("0 channels");
});

it("shows a time in the reader's manner, and what is no time as it is", () => {
  expect(moment("2026-11-21T08:00:00Z", "en-GB")).toContain("21 Nov 2026");
  expect(moment("some day")).toBe("some day");
});
