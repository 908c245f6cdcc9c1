/** Quieter than this a bar is empty: room noise at a usual gain. */
const FLOOR_DBFS = -60;

/** From here on somebody counts as speaking. */
const SPEAKING_DBFS = -42;

/** Somebody who pauses between words goes on speaking for this long. */
export const SPEAKING_HOLD_MS = 600;

/** How far a bar is filled, 0 to 1. No level is an empty bar. */
export function fill(dbfs: number | undefined): number {
  if (dbfs === undefined || Number.isNaN(dbfs)) return 0;
  return Math.min(1, Math.max(0, (dbfs - FLOOR_DBFS) / -FLOOR_DBFS));
}

/** Whether a level is speech rather than a room. */
export function isSpeech(dbfs: number | undefined): boolean {
  return dbfs !== undefined && dbfs >= SPEAKING_DBFS;
}
