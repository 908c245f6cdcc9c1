import { beforeEach, expect, it, vi } from "vitest";

const invoke = vi.hoisted(() => vi.fn(async () => undefined));
const listen = vi.hoisted(() => vi.fn());
vi.mock("@tauri-apps/api/core", () => ({ invoke }));
vi.mock("@tauri-apps/api/event", () => ({ listen }));

import { desktop } from "./backend";

beforeEach(() => void vi.clearAllMocks());

it("names commands and arguments as the shell does", async () => {
  await desktop.hostRoom("Tuesday");
  await desktop.joinRoom("http://x#y", null, true);
  await desktop.startRecording(null);
  await desktop.stopRecording();
  await desktop.setName("Ada");
  await desktop.setMuted(true);
  await desktop.recordingLink("a.wav");
  await desktop.openRecording("a.wav");
  await desktop.moreRecordings();
  await desktop.leave();
  await desktop.view();
  expect(invoke.mock.calls).toEqual([
    ["host_room", { name: "Tuesday" }],
    ["join_room", { invite: "http://x#y", name: null, observe: true }],
    ["start_recording", { title: null }],
    ["stop_recording"],
    ["set_name", { name: "Ada" }],
    ["set_muted", { muted: true }],
    ["recording_link", { recording: "a.wav" }],
    ["open_recording", { recording: "a.wav" }],
    ["more_recordings"],
    ["leave"],
    ["view"],
  ]);
});

it("hands on what an event carries", async () => {
  const seen: unknown[] = [];
  await desktop.onLevels((levels) => seen.push(levels));
  const [event, receive] = listen.mock.calls[0]!;
  receive({ event: "levels", id: 1, payload: { a: -3 } });
  expect(event).toBe("levels");
  expect(seen).toEqual([{ a: -3 }]);
});
