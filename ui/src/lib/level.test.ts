import { expect, it } from "vitest";

import { fill, isSpeech } from "./level";

it("fills a bar from the floor to full scale", () => {
  expect(fill(undefined)).toBe(0);
  expect(fill(-120)).toBe(0);
  expect(fill(-60)).toBe(0);
  expect(fill(-30)).toBe(0.5);
  expect(fill(0)).toBe(1);
  expect(fill(6)).toBe(1);
  expect(fill(Number.NaN)).toBe(0);
});

it("tells speech from a quiet room", () => {
  expect(isSpeech(-20)).toBe(true);
  expect(isSpeech(-55)).toBe(false);
  expect(isSpeech(undefined)).toBe(false);
});
