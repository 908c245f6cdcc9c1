import type { ErrorReport } from "../bindings/ErrorReport";
import type { ParticipantId } from "../bindings/ParticipantId";
import type { View } from "../bindings/View";
import type { Backend, Levels } from "./backend";
import { type Anchor, anchor } from "./elapsed";
import { asReport } from "./errors";
import { isSpeech, SPEAKING_HOLD_MS } from "./level";

/** Levels come five times a second; after this long without any nobody knows who speaks. */
const LEVELS_STALE_MS = 1500;

/** What can be under way at the same time. Start and stop are one: what one answers decides about the other. */
export type Request = "enter" | "leave" | "record" | "name" | "mute" | "list";

/** What the window shows, kept up to date, and what it asks of the studio. */
export class Studio {
  view = $state.raw<View>({ phase: "lobby", room: null, error: null });
  levels = $state.raw<Levels>({});
  /** Who speaks now, or did a moment ago. */
  speaking = $state.raw<ReadonlySet<ParticipantId>>(new Set());
  /** Why the last thing that was asked for did not happen. */
  failure = $state.raw<ErrorReport | null>(null);
  /** Requests on their way; the same one is not sent twice meanwhile. */
  pending = $state.raw<ReadonlySet<Request>>(new Set());
  /** The current recording's clock. */
  elapsed = $state.raw<Anchor | null>(null);
  quitting = $state(false);
  /** False until the studio was heard of for the first time. */
  ready = $state(false);

  #dismissed = $state.raw<ErrorReport | null>(null);
  #lastSpoke = new Map<ParticipantId, number>();
  #levelsTimeout: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly backend: Backend,
    readonly now: () => number = () => performance.now(),
  ) {}

  /** Listens before it asks, so that no change falls between; a view that comes meanwhile is the newer one. */
  async connect(): Promise<() => void> {
    const subscriptions = await Promise.all([
      this.backend.onView((view) => this.#show(view)),
      this.backend.onLevels((levels) => this.#hear(levels)),
      this.backend.onFailure((report) => (this.failure = report)),
      this.backend.onQuitting(() => (this.quitting = true)),
    ]);
    try {
      const view = await this.backend.view();
      if (!this.ready) this.#show(view);
    } catch (reason) {
      this.failure = asReport(reason);
    }
    return () => {
      clearTimeout(this.#levelsTimeout);
      subscriptions.forEach((unsubscribe) => unsubscribe());
    };
  }

  /** The error to show: of the last request, else what the studio reports by itself. */
  get error(): ErrorReport | null {
    if (this.failure) return this.failure;
    const own = this.view.error;
    return own && !same(own, this.#dismissed) ? own : null;
  }

  dismissError(): void {
    this.#dismissed = this.error;
    this.failure = null;
  }

  /** For requests whose refusal is shown where they were made: the studio reports it too, and once is enough. */
  async beside<T>(request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (reason) {
      this.#dismissed = asReport(reason);
      throw this.#dismissed;
    }
  }

  host(name: string): Promise<boolean> {
    return this.#ask("enter", () => this.backend.hostRoom(name.trim()));
  }

  join(invite: string, name: string, observe: boolean): Promise<boolean> {
    return this.#ask("enter", () => this.backend.joinRoom(invite.trim(), optional(name), observe));
  }

  leave(): Promise<boolean> {
    return this.#ask("leave", () => this.backend.leave());
  }

  start(title: string): Promise<boolean> {
    return this.#ask("record", () => this.backend.startRecording(optional(title)));
  }

  stop(): Promise<boolean> {
    return this.#ask("record", () => this.backend.stopRecording());
  }

  setName(name: string): Promise<boolean> {
    return this.#ask("name", () => this.backend.setName(optional(name)));
  }

  setMuted(muted: boolean): Promise<boolean> {
    return this.#ask("mute", () => this.backend.setMuted(muted));
  }

  moreRecordings(): Promise<boolean> {
    return this.#ask("list", () => this.backend.moreRecordings());
  }

  #show(view: View): void {
    // The same error after a time without one happened anew.
    if (!view.error) this.#dismissed = null;
    if (view.phase !== this.view.phase && view.phase === "room") this.failure = null;
    this.view = view;
    this.elapsed = anchor(view.room?.state?.current ?? null, this.now(), this.elapsed);
    this.ready = true;
    if (view.phase === "lobby") this.#hear({});
  }

  #hear(levels: Levels): void {
    const now = this.now();
    for (const [participant, dbfs] of Object.entries(levels)) {
      if (isSpeech(dbfs)) this.#lastSpoke.set(participant, now);
    }
    const speaking = new Set<ParticipantId>();
    for (const [participant, at] of this.#lastSpoke) {
      if (now - at < SPEAKING_HOLD_MS && participant in levels) speaking.add(participant);
      else if (now - at >= SPEAKING_HOLD_MS) this.#lastSpoke.delete(participant);
    }
    if (speaking.size !== this.speaking.size || [...speaking].some((id) => !this.speaking.has(id))) {
      this.speaking = speaking;
    }
    this.levels = levels;
    clearTimeout(this.#levelsTimeout);
    if (Object.keys(levels).length > 0) this.#levelsTimeout = setTimeout(() => this.#hear({}), LEVELS_STALE_MS);
  }

  async #ask(name: Request, request: () => Promise<void>): Promise<boolean> {
    if (this.pending.has(name)) return false;
    this.pending = new Set(this.pending).add(name);
    this.failure = null;
    try {
      await request();
      return true;
    } catch (reason) {
      this.failure = asReport(reason);
      return false;
    } finally {
      const pending = new Set(this.pending);
      pending.delete(name);
      this.pending = pending;
    }
  }
}

function optional(text: string): string | null {
  return text.trim() === "" ? null : text.trim();
}

function same(a: ErrorReport, b: ErrorReport | null): boolean {
  return b !== null && a.code === b.code && a.message === b.message;
}
