import { describe, expect, it } from "vitest";

import { id, status } from "../test/fixtures";
import { anchor, elapsedAt, untilNextSecond } from "./elapsed";

describe("elapsed time", () => {
  it("goes on by itself between two states", () => {
    const told = anchor(status({ elapsed_ms: 10_000 }), 500)!;
    expect(elapsedAt(told, 500)).toBe(10_000);
    expect(elapsedAt(told, 3_250)).toBe(12_750);
  });

  it("is corrected by each new state, in both directions", () => {
    const first = anchor(status({ elapsed_ms: 10_000 }), 0)!;
    const late = anchor(status({ elapsed_ms: 10_700 }), 1_000, first)!;
    expect(elapsedAt(late, 1_000)).toBe(10_700);
    const early = anchor(status({ elapsed_ms: 12_500 }), 2_000, late)!;
    expect(elapsedAt(early, 2_000)).toBe(12_500);
  });

  it("is not set back by a state that comes again with other news", () => {
    const first = anchor(status({ elapsed_ms: 10_000 }), 0)!;
    const again = anchor(status({ elapsed_ms: 10_000, title: "Now with a title" }), 800, first)!;
    expect(elapsedAt(again, 900)).toBe(10_900);
  });

  it("stands unless the recording runs", () => {
    for (const standing of ["preparing", "paused", "finalizing"] as const) {
      const told = anchor(status({ state: standing, elapsed_ms: 4_000 }), 0)!;
      expect(elapsedAt(told, 60_000)).toBe(4_000);
      expect(untilNextSecond(told, 60_000)).toBeNull();
    }
  });

  it("starts anew after a pause and with another recording", () => {
    const paused = anchor(status({ state: "paused", elapsed_ms: 4_000 }), 0)!;
    const resumed = anchor(status({ elapsed_ms: 4_000 }), 9_000, paused)!;
    expect(elapsedAt(resumed, 9_500)).toBe(4_500);
    const other = anchor(status({ recording: id("2"), elapsed_ms: 4_000 }), 20_000, resumed)!;
    expect(elapsedAt(other, 20_100)).toBe(4_100);
  });

  it("knows when the next second is due", () => {
    const told = anchor(status({ elapsed_ms: 1_200 }), 0)!;
    expect(untilNextSecond(told, 0)).toBe(800);
    expect(untilNextSecond(told, 800)).toBe(1_000);
  });

  it("has no clock without a recording", () => expect(anchor(null, 0)).toBeNull());
});
