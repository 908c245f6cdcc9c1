import { flushSync } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { FakeBackend, id, inRoom, state, status } from "../test/fixtures";
import { Studio } from "./studio.svelte";

const report = { code: "not_recording", message: "nothing is being recorded", hint: "press Record first" };

async function connected(backend: FakeBackend, now: () => number = () => 0) {
  const studio = new Studio(backend, now);
  const disconnect = await studio.connect();
  flushSync();
  return { studio, disconnect };
}

describe("what is shown", () => {
  it("does not let the answer of the first question overtake a newer view", async () => {
    const backend = new FakeBackend();
    backend.view.mockImplementation(async () => {
      backend.show(inRoom());
      return { phase: "lobby", room: null, error: null };
    });
    const { studio } = await connected(backend);
    expect(studio.view.phase).toBe("room");
  });

  it("ends every subscription", async () => {
    const backend = new FakeBackend();
    const { disconnect } = await connected(backend);
    disconnect();
    expect(backend.unsubscribe).toHaveBeenCalledTimes(4);
  });

  it("keeps the clock through a view that only brings other news", async () => {
    let now = 0;
    const backend = new FakeBackend(inRoom({ state: state({ current: status({ elapsed_ms: 5_000 }) }) }));
    const { studio } = await connected(backend, () => now);
    now = 700;
    backend.show(inRoom({ microphone: "Another", state: state({ current: status({ elapsed_ms: 5_000 }) }) }));
    expect(studio.elapsed).toMatchObject({ elapsedMs: 5_000, at: 0 });
    backend.show(inRoom());
    expect(studio.elapsed).toBeNull();
  });
});

describe("requests", () => {
  it("sends texts trimmed, and nothing for empty ones", async () => {
    const backend = new FakeBackend();
    const { studio } = await connected(backend);
    await studio.host("  Tuesday ");
    await studio.join(" http://x#y ", "  ", true);
    await studio.start("  ");
    await studio.setName(" Ada ");
    expect(backend.hostRoom).toHaveBeenCalledWith("Tuesday");
    expect(backend.joinRoom).toHaveBeenCalledWith("http://x#y", null, true);
    expect(backend.startRecording).toHaveBeenCalledWith(null);
    expect(backend.setName).toHaveBeenCalledWith("Ada");
  });

  it("sends no second start or stop while one is on its way, but does not hold up the mute button", async () => {
    const backend = new FakeBackend(inRoom());
    const { studio } = await connected(backend);
    let answer = () => {};
    backend.startRecording.mockReturnValue(new Promise((resolve) => (answer = resolve)));
    const starting = studio.start("");
    expect(await studio.stop()).toBe(false);
    expect(await studio.setMuted(true)).toBe(true);
    answer();
    expect(await starting).toBe(true);
    expect(backend.stopRecording).not.toHaveBeenCalled();
    expect(studio.pending.size).toBe(0);
  });

  it("shows why a request was refused until the next one", async () => {
    const backend = new FakeBackend(inRoom());
    const { studio } = await connected(backend);
    backend.stopRecording.mockRejectedValueOnce(report);
    expect(await studio.stop()).toBe(false);
    expect(studio.error).toEqual(report);
    await studio.start("");
    expect(studio.error).toBeNull();
  });

  it("shows what the tray was refused", async () => {
    const backend = new FakeBackend(inRoom());
    const { studio } = await connected(backend);
    backend.fail(report);
    expect(studio.error).toEqual(report);
  });

  it("makes a report of a rejection that is none", async () => {
    const backend = new FakeBackend();
    const { studio } = await connected(backend);
    backend.leave.mockRejectedValueOnce("command leave not found");
    await studio.leave();
    expect(studio.error).toMatchObject({ code: "window", message: "command leave not found" });
  });
});

it("shows the studio's own error until it was dismissed, and again when it happens anew", async () => {
  const backend = new FakeBackend();
  const { studio } = await connected(backend);
  backend.show({ ...inRoom(), error: report });
  expect(studio.error).toEqual(report);
  studio.dismissError();
  expect(studio.error).toBeNull();
  backend.show({ ...inRoom(), error: { ...report } });
  expect(studio.error).toBeNull();
  backend.show(inRoom());
  backend.show({ ...inRoom(), error: report });
  expect(studio.error).toEqual(report);
});

it("stays dismissed when the studio reports a refusal after the request was refused", async () => {
  const backend = new FakeBackend(inRoom());
  const { studio } = await connected(backend);
  backend.stopRecording.mockRejectedValueOnce(report);
  await studio.stop();
  studio.dismissError();
  backend.show({ ...inRoom(), error: report });
  expect(studio.error).toBeNull();
});

describe("levels", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("somebody goes on speaking between two words, and not much longer", async () => {
    let now = 0;
    const backend = new FakeBackend(inRoom());
    const { studio } = await connected(backend, () => now);
    backend.hear({ [id("a")]: -20, [id("b")]: -70 });
    expect([...studio.speaking]).toEqual([id("a")]);
    now = 300;
    backend.hear({ [id("a")]: -70, [id("b")]: -70 });
    expect([...studio.speaking]).toEqual([id("a")]);
    now = 700;
    backend.hear({ [id("a")]: -70, [id("b")]: -70 });
    expect([...studio.speaking]).toEqual([]);
  });

  it("falls to nothing when no levels come any more", async () => {
    const backend = new FakeBackend(inRoom());
    const { studio } = await connected(backend);
    backend.hear({ [id("a")]: -20 });
    vi.advanceTimersByTime(1_500);
    expect(studio.levels).toEqual({});
    expect(studio.speaking.size).toBe(0);
  });
});
