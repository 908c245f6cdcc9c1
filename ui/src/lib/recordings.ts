import type { CatalogEntry } from "../bindings/CatalogEntry";
import type { MetadataState } from "../bindings/MetadataState";
import type { RecordingStatus } from "../bindings/RecordingStatus";
import type { RoomState } from "../bindings/RoomState";
import { timeLeft } from "./format";

/** A line of the list: an object of the bucket, or a recording that is not there yet. */
export interface Line {
  /** Identifies the line while it goes from finalizing to ready. */
  id: string;
  title: string;
  /** The key, where the title does not tell it. */
  key: string | null;
  startedAt: string | null;
  durationMs: number | null;
  channels: number | null;
  size: number | null;
  gapless: boolean | null;
  state: "finalizing" | "uploading" | "ready" | "failed";
  failure: string | null;
  /** How far an upload is, and how long it will still take: "43 %, 2 min left". */
  progress: string | null;
  /** Whose audio the file still waits for, by name. */
  waitingFor: string[];
  hostOnly: boolean;
  /** What is wrong with what is known about it, for people. */
  trouble: string | null;
}

const troubles: Partial<Record<MetadataState, string>> = {
  damaged: "What was written down about this recording is damaged.",
  newer: "A newer Roomtone wrote this recording. Update to see more of it.",
};

/** Newest first: what is still being finished stands above what the list has. What was discarded is in neither. */
export function lines(entries: readonly CatalogEntry[], state: RoomState | null): Line[] {
  const kept = (state?.finalizing ?? []).filter((status) => status.state !== "cancelled");
  const unfinished = new Map(kept.map((status) => [status.recording, status]));
  const known = entries.map((entry) => {
    const status = entry.recording === null ? undefined : unfinished.get(entry.recording);
    if (entry.recording !== null) unfinished.delete(entry.recording);
    return fromEntry(entry, status);
  });
  return [...[...unfinished.values()].reverse().map((status) => fromStatus(status, state)), ...known];
}

/** What to call people, as far as the room still knows them. */
function names(people: readonly string[], state: RoomState | null): string[] {
  return people.map((who) => state?.people.find((person) => person.participant === who)?.label ?? "somebody");
}

function fromEntry(entry: CatalogEntry, status: RecordingStatus | undefined): Line {
  return {
    id: entry.recording ?? entry.key,
    title: entry.title ?? fileName(entry.key),
    key: entry.title === null ? null : entry.key,
    startedAt: entry.started_at,
    durationMs: entry.duration_ms,
    channels: entry.channels,
    size: entry.size,
    gapless: entry.gapless,
    state: status?.state === "failed" ? "failed" : entry.state,
    failure: status?.failure ?? null,
    progress: entry.state === "uploading" ? progress(status) : null,
    waitingFor: [],
    hostOnly: entry.reach === "host_only",
    trouble: troubles[entry.metadata] ?? null,
  };
}

function fromStatus(status: RecordingStatus, room: RoomState | null): Line {
  const state =
    status.state === "failed" ? "failed" : status.state === "uploading" ? "uploading" : "finalizing";
  return {
    id: status.recording,
    title: status.title ?? "New recording",
    key: null,
    startedAt: null,
    durationMs: status.elapsed_ms,
    channels: null,
    size: null,
    gapless: null,
    state,
    failure: status.failure,
    progress: state === "uploading" ? progress(status) : null,
    waitingFor: names(status.waiting?.people ?? [], room),
    hostOnly: false,
    trouble: null,
  };
}

function progress(status: RecordingStatus | undefined): string | null {
  const upload = status?.upload;
  if (!upload) return null;
  const percent = upload.total > 0 ? Math.floor((upload.bytes * 100) / upload.total) : 100;
  return upload.left_ms === null ? `${percent} %` : `${percent} %, ${timeLeft(upload.left_ms)}`;
}

function fileName(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}
