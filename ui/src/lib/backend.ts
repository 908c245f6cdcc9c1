// The only place that talks to the program around the window.

import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";

import type { ErrorReport } from "../bindings/ErrorReport";
import type { Link } from "../bindings/Link";
import type { ParticipantId } from "../bindings/ParticipantId";
import type { View } from "../bindings/View";

/** How loud everybody is, in dBFS, by participant. */
export type Levels = Partial<Record<ParticipantId, number>>;

/** Ends a subscription. */
export type Unsubscribe = () => void;

/** What the window can ask for. Every request rejects with an `ErrorReport`. */
export interface Backend {
  view(): Promise<View>;
  onView(receive: (view: View) => void): Promise<Unsubscribe>;
  onLevels(receive: (levels: Levels) => void): Promise<Unsubscribe>;
  /** Something that was asked for outside the window, from the tray, failed. */
  onFailure(receive: (report: ErrorReport) => void): Promise<Unsubscribe>;
  /** The program is leaving the room before it ends. */
  onQuitting(receive: () => void): Promise<Unsubscribe>;

  hostRoom(name: string): Promise<void>;
  joinRoom(invite: string, name: string | null, observe: boolean): Promise<void>;
  leave(): Promise<void>;
  startRecording(title: string | null): Promise<void>;
  stopRecording(): Promise<void>;
  setName(name: string | null): Promise<void>;
  setMuted(muted: boolean): Promise<void>;
  /** `recording` is its id, or the key of an object that has none. */
  recordingLink(recording: string): Promise<Link>;
  /** Opens a fresh link with whatever the system uses for the web. */
  openRecording(recording: string): Promise<void>;
  /** Adds a page to the list of recordings. */
  moreRecordings(): Promise<void>;
}

/** The studio behind the desktop shell. */
export const desktop: Backend = {
  view: () => invoke("view"),
  onView: (receive) => listen<View>("view", (event) => receive(event.payload)),
  onLevels: (receive) => listen<Levels>("levels", (event) => receive(event.payload)),
  onFailure: (receive) => listen<ErrorReport>("failure", (event) => receive(event.payload)),
  onQuitting: (receive) => listen("quitting", () => receive()),

  hostRoom: (name) => invoke("host_room", { name }),
  joinRoom: (invite, name, observe) => invoke("join_room", { invite, name, observe }),
  leave: () => invoke("leave"),
  startRecording: (title) => invoke("start_recording", { title }),
  stopRecording: () => invoke("stop_recording"),
  setName: (name) => invoke("set_name", { name }),
  setMuted: (muted) => invoke("set_muted", { muted }),
  recordingLink: (recording) => invoke("recording_link", { recording }),
  openRecording: (recording) => invoke("open_recording", { recording }),
  moreRecordings: () => invoke("more_recordings"),
};
