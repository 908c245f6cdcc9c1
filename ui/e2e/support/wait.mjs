import { setTimeout as sleep } from "node:timers/promises";

/** How often a condition is looked at. */
const EVERY_MS = 100;

/**
 * Waits until `probe` answers something true, and returns it. A probe that throws has no answer yet; its last error
 * is part of the failure.
 */
export async function until(what, probe, timeoutMs = 20_000) {
  const deadline = performance.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const answer = await probe();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`not within ${timeoutMs / 1000} s: ${what} (last seen: ${seen})`);
    }
    await sleep(EVERY_MS);
  }
}
