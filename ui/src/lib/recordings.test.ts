import { expect, it } from "vitest";

import { entry, id, person, state, status } from "../test/fixtures";
import { lines } from "./recordings";

it("puts what is still being finished above the list, newest first", () => {
  const unfinished = state({
    finalizing: [
      status({ recording: id("2"), state: "uploading", title: "Two" }),
      status({ recording: id("3"), state: "finalizing" }),
    ],
  });
  const list = lines([entry()], unfinished);
  expect(list.map((line) => [line.id, line.state])).toEqual([
    [id("3"), "finalizing"],
    [id("2"), "uploading"],
    [id("1"), "ready"],
  ]);
  expect(list[1]?.title).toBe("Two");
});

it("shows a recording once, with the list's facts and the reason that it waits for", () => {
  const waiting = state({
    finalizing: [status({ state: "uploading", failure: "the bucket cannot be reached; it is tried again" })],
  });
  const list = lines([entry({ state: "uploading" })], waiting);
  expect(list).toHaveLength(1);
  expect(list[0]).toMatchObject({ state: "uploading", channels: 2, failure: "the bucket cannot be reached; it is tried again" });
});

it("says how far an upload is and how long it will still take, once that is known", () => {
  const goingUp = (left_ms: number | null) => ({
    finalizing: [status({ state: "uploading", upload: { bytes: 439, total: 1000, rate: 5, left_ms } })],
  });
  expect(lines([entry({ state: "uploading" })], state(goingUp(110_000)))[0]?.progress).toBe("43 %, 2 min left");
  expect(lines([], state(goingUp(null)))[0]?.progress).toBe("43 %");
  expect(lines([], state({ finalizing: [status({ state: "uploading" })] }))[0]?.progress).toBeNull();
  expect(lines([entry()], state(goingUp(110_000)))[0]?.progress).toBeNull();
});

it("says that a recording failed, also where the list still calls it uploading", () => {
  const failed = state({ finalizing: [status({ state: "failed", failure: "the disk is full" })] });
  expect(lines([entry({ state: "uploading" })], failed)[0]).toMatchObject({ state: "failed", failure: "the disk is full" });
});

it("names whom a file still waits for", () => {
  const waiting = { people: [id("a"), id("e")], left_ms: 12_000 };
  const over = state({ people: [person()], finalizing: [status({ recording: id("2"), state: "finalizing", waiting })] });
  expect(lines([entry()], over).map((line) => line.waitingFor)).toEqual([["Ada", "somebody"], []]);
});

it("shows nothing of a recording that was discarded", () => {
  const cancelled = state({ finalizing: [status({ recording: id("2"), state: "cancelled" })] });
  expect(lines([entry()], cancelled).map((line) => line.id)).toEqual([id("1")]);
});

it("names an object without a title by its file, and keeps keys that begin alike apart", () => {
  const list = lines([entry({ recording: null, key: "recordings/a.wav" }), entry({ recording: null, key: "other/a.wav" })], null);
  expect(list.map((line) => [line.id, line.title])).toEqual([
    ["recordings/a.wav", "a.wav"],
    ["other/a.wav", "a.wav"],
  ]);
});
