import type { RecordingId } from "../bindings/RecordingId";
import type { RecordingState } from "../bindings/RecordingState";
import type { RecordingStatus } from "../bindings/RecordingStatus";

/** A recording's elapsed time as last told, and when this window learned of it. */
export interface Anchor {
  recording: RecordingId;
  state: RecordingState;
  elapsedMs: number;
  /** The window's own monotonic clock, in milliseconds. */
  at: number;
}

/**
 * Takes a status that arrived `now`; whatever was guessed before no longer counts. A status that says nothing new
 * leaves the clock alone: it came along because something else in the room changed, and is as old as before.
 */
export function anchor(status: RecordingStatus | null, now: number, previous: Anchor | null = null): Anchor | null {
  if (!status) return null;
  const { recording, state, elapsed_ms: elapsedMs } = status;
  const repeated =
    previous?.recording === recording && previous.state === state && previous.elapsedMs === elapsedMs;
  return repeated ? previous : { recording, state, elapsedMs, at: now };
}

/** Elapsed time at `now`: it goes on by itself only while the recording runs, and never back behind the anchor. */
export function elapsedAt(anchor: Anchor, now: number): number {
  return anchor.state === "recording" ? anchor.elapsedMs + Math.max(0, now - anchor.at) : anchor.elapsedMs;
}

/** Milliseconds from `now` until the clock shows another second; none while it stands. */
export function untilNextSecond(anchor: Anchor, now: number): number | null {
  return anchor.state === "recording" ? 1000 - (elapsedAt(anchor, now) % 1000) : null;
}
