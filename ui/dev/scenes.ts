// The window with made-up people, to look at its design: `npm run scenes`, then /dev/?scene=recording.
// Not part of the build: only the root's index.html is.

import "../src/styles/base.css";

import { mount } from "svelte";

import App from "../src/App.svelte";
import type { CatalogEntry } from "../src/bindings/CatalogEntry";
import type { Person } from "../src/bindings/Person";
import type { RoomView } from "../src/bindings/RoomView";
import type { View } from "../src/bindings/View";
import type { Backend, Levels } from "../src/lib/backend";
import { Studio } from "../src/lib/studio.svelte";

const id = (digit: string) => digit.repeat(32);

function person(digit: string, label: string, more: Partial<Person> = {}): Person {
  return {
    participant: id(digit),
    name: label,
    label,
    role: "participant",
    host: false,
    presence: "present",
    muted: false,
    channel: null,
    ...more,
  };
}

const people = (recording: boolean): Person[] => {
  const channel = (index: number) => (recording ? index : null);
  return [
    person("a", "Ada Okafor", { host: true, channel: channel(0) }),
    person("b", "Ben <b>Lindqvist</b>", { channel: channel(1) }),
    person("c", "Guest 3", { name: null, channel: channel(2), muted: true }),
    person("d", "Dilnoza Abdurahmonova-Khasanova", { channel: channel(3), presence: "away" }),
    person("e", "Studio desk", { role: "observer" }),
    person("f", "Farid", { presence: "left", channel: channel(4) }),
  ];
};

const entry = (more: Partial<CatalogEntry>): CatalogEntry => ({
  recording: id("1"),
  key: "recordings/tuesday_20261117_090312.wav",
  title: null,
  room: "Tuesday",
  started_at: "2026-11-17T09:03:12Z",
  duration_ms: 3_725_000,
  channels: 4,
  size: 2_145_600_000,
  gapless: true,
  state: "ready",
  reach: "everyone",
  metadata: "good",
  ...more,
});

const entries: CatalogEntry[] = [
  entry({ recording: id("2"), title: "Pilot, second half", state: "uploading", key: "recordings/tuesday_20261118_101500.wav", started_at: "2026-11-18T10:15:00Z", duration_ms: 1_860_000, size: 1_071_360_000 }),
  entry({ title: "Pilot, first half" }),
  entry({ recording: id("3"), key: "recordings/tuesday_20261110_090000.wav", gapless: false, duration_ms: 605_000, channels: 2, size: 174_240_000, started_at: "2026-11-10T09:00:00Z", reach: "host_only" }),
  entry({ recording: null, key: "recordings/tuesday_jingle.wav", duration_ms: null, channels: null, gapless: null, size: 1_900_000, started_at: "2026-11-02T18:20:00Z" }),
];

const many: CatalogEntry[] = Array.from({ length: 100 }, (_, n) =>
  entry({
    recording: n.toString(16).padStart(32, "0"),
    title: `Interview ${10_000 - n}`,
    started_at: new Date(Date.UTC(2026, 10, 17, 9) - n * 18_000_000).toISOString(),
    metadata: n === 2 ? "damaged" : "good",
  }),
);

function room(more: Partial<RoomView> = {}, recording = false): RoomView {
  return {
    me: id("a"),
    hosting: true,
    invite: `http://192.168.1.20:41233/r/${id("9")}#uJ3kq0aVn1cGm2x4yQ8ZtQ.p7Yw2mVb5o0sK1r3eH6dTA`,
    recorder: "connected",
    microphone: "Scarlett 2i2 USB",
    safe_to_quit: true,
    recordings: entries,
    recordings_total: entries.length,
    more_recordings: null,
    state: {
      epoch: 1,
      sequence: 9,
      room: id("9"),
      name: "Tuesday’s interview",
      record_by: "everyone",
      people: people(recording),
      current: recording
        ? { recording: id("4"), state: "recording", elapsed_ms: 754_300, title: "Part three", started_by: id("a"), failure: null, notes: null, markers: 0, remaining_ms: null, waiting: null, upload: null }
        : null,
      finalizing: [],
      auto_record: null,
      disk_left_ms: null,
    },
    ...more,
  };
}

const views: Record<string, View> = {
  lobby: { phase: "lobby", room: null, error: null },
  error: {
    phase: "lobby",
    room: null,
    error: { code: "invalid_invite", message: "the part after # is missing or damaged", hint: "Ask for the invite again and paste all of it." },
  },
  room: { phase: "room", room: room(), error: null },
  recording: { phase: "room", room: room({}, true), error: null },
  guest: { phase: "room", room: room({ me: id("b"), hosting: false, recorder: "unreachable", safe_to_quit: false }), error: null },
  many: { phase: "room", room: room({ recordings: many, recordings_total: 10_000, more_recordings: "behind" }), error: null },
  empty: { phase: "room", room: { ...room(), recordings: [] }, error: null },
};

const query = new URLSearchParams(location.search);
const view = views[query.get("scene") ?? "recording"] ?? views["lobby"]!;
const done = async () => {};

let tellLevels: (levels: Levels) => void = () => {};
const backend: Backend = {
  view: async () => view,
  onView: async () => done,
  onLevels: async (receive) => ((tellLevels = receive), done),
  onFailure: async () => done,
  onQuitting: async () => done,
  hostRoom: done,
  joinRoom: done,
  leave: done,
  startRecording: done,
  stopRecording: done,
  setName: done,
  setMuted: done,
  recordingLink: async () => ({ link: "http://192.168.1.20:41233/files/recordings/tuesday.wav?expires=1", expires_at: "2026-11-18T11:15:00Z" }),
  openRecording: done,
  moreRecordings: done,
};

const studio = new Studio(backend);
mount(App, { target: document.getElementById("app")!, props: { studio } });
await studio.connect();

let step = 0;
setInterval(() => {
  step += 1;
  const voice = (phase: number) => -38 + 22 * Math.sin(step / 3 + phase);
  tellLevels({ [id("a")]: voice(0), [id("b")]: voice(2) - 14, [id("c")]: -90 });
}, 100);

if (query.has("scale")) document.documentElement.style.fontSize = `${Number(query.get("scale")) * 16}px`;
