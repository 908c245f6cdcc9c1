import { vi } from "vitest";

import type { CatalogEntry } from "../bindings/CatalogEntry";
import type { Person } from "../bindings/Person";
import type { RecordingStatus } from "../bindings/RecordingStatus";
import type { RoomState } from "../bindings/RoomState";
import type { RoomView } from "../bindings/RoomView";
import type { View } from "../bindings/View";
import type { Backend, Levels } from "../lib/backend";

export const id = (digit: string): string => digit.repeat(32);

export function person(more: Partial<Person> = {}): Person {
  return {
    participant: id("a"),
    name: "Ada",
    label: "Ada",
    role: "participant",
    host: false,
    presence: "present",
    muted: false,
    channel: null,
    ...more,
  };
}

export function status(more: Partial<RecordingStatus> = {}): RecordingStatus {
  return {
    recording: id("1"),
    state: "recording",
    elapsed_ms: 0,
    title: null,
    started_by: null,
    failure: null,
    notes: null,
    markers: 0,
    remaining_ms: null,
    waiting: null,
    upload: null,
    ...more,
  };
}

export function entry(more: Partial<CatalogEntry> = {}): CatalogEntry {
  return {
    recording: id("1"),
    key: "recordings/room_20261121_080000.wav",
    title: null,
    room: "Room",
    started_at: "2026-11-21T08:00:00Z",
    duration_ms: 60_000,
    channels: 2,
    size: 17_284_096,
    gapless: true,
    state: "ready",
    reach: "everyone",
    metadata: "good",
    ...more,
  };
}

export function state(more: Partial<RoomState> = {}): RoomState {
  return {
    epoch: 1,
    sequence: 1,
    room: id("9"),
    name: "Tuesday",
    record_by: "everyone",
    people: [person()],
    current: null,
    finalizing: [],
    auto_record: null,
    disk_left_ms: null,
    ...more,
  };
}

export function room(more: Partial<RoomView> = {}): RoomView {
  return {
    me: id("a"),
    hosting: false,
    invite: "http://127.0.0.1:7880/r/9#key.secret",
    recorder: "connected",
    state: state(),
    recordings: [],
    recordings_total: more.recordings?.length ?? 0,
    more_recordings: null,
    microphone: "Built-in",
    safe_to_quit: true,
    ...more,
  };
}

export const inRoom = (more: Partial<RoomView> = {}): View => ({ phase: "room", room: room(more), error: null });

/** A studio that notes what it is asked and says what the test says. */
export class FakeBackend implements Backend {
  constructor(public current: View = { phase: "lobby", room: null, error: null }) {}

  show: (view: View) => void = () => {};
  hear: (levels: Levels) => void = () => {};
  fail: Parameters<Backend["onFailure"]>[0] = () => {};
  quit: () => void = () => {};
  unsubscribe = vi.fn();

  view = vi.fn(async () => this.current);
  onView = async (receive: (view: View) => void) => ((this.show = receive), this.unsubscribe);
  onLevels = async (receive: (levels: Levels) => void) => ((this.hear = receive), this.unsubscribe);
  onFailure = async (receive: typeof this.fail) => ((this.fail = receive), this.unsubscribe);
  onQuitting = async (receive: () => void) => ((this.quit = receive), this.unsubscribe);

  hostRoom = vi.fn<Backend["hostRoom"]>(async () => {});
  joinRoom = vi.fn<Backend["joinRoom"]>(async () => {});
  leave = vi.fn<Backend["leave"]>(async () => {});
  startRecording = vi.fn<Backend["startRecording"]>(async () => {});
  stopRecording = vi.fn<Backend["stopRecording"]>(async () => {});
  setName = vi.fn<Backend["setName"]>(async () => {});
  setMuted = vi.fn<Backend["setMuted"]>(async () => {});
  recordingLink = vi.fn<Backend["recordingLink"]>(async () => ({
    link: "http://127.0.0.1:7880/files/a.wav?signature=1",
    expires_at: "2026-11-21T09:00:00Z",
  }));
  openRecording = vi.fn<Backend["openRecording"]>(async () => {});
  moreRecordings = vi.fn<Backend["moreRecordings"]>(async () => {});
}
