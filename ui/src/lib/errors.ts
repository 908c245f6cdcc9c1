import type { ErrorReport } from "../bindings/ErrorReport";

/** What a person reads first. The report's own message and hint follow, so a code without a headline loses nothing. */
const headlines: Record<string, string> = {
  room_not_found: "There is no such room",
  unauthorized: "This invite is not valid here",
  not_allowed: "You may not do this in this room",
  limit_reached: "A limit of the room is reached",
  already_present: "You are in this room already",
  room_closed: "The room was closed",
  relay_unreachable: "The room’s relay cannot be reached",
  recorder_unreachable: "The host cannot be reached",
  wrong_recorder: "The room’s recorder is not the one from the invite",
  already_changed: "Somebody else was faster",
  not_recording: "Nothing is being recorded",
  recording_disabled: "Recording is switched off",
  not_yet_supported: "This version cannot do that yet",
  recording_not_found: "There is no such recording",
  not_finalized: "The recording is not finished yet",
  not_uploaded: "The recording is still on its way up",
  recording_failed: "The recording failed",
  data_dir_in_use: "Roomtone is running already",
  io: "A file could not be read or written",
  microphone: "The microphone cannot be used",
  invalid_invite: "This is not an invite",
  storage: "The storage refused",
  storage_unreachable: "The storage cannot be reached",
  link_expired: "The link is too old",
  address_in_use: "Another program is in the way",
  invalid_setting: "A setting is not valid",
  newer_version: "A newer Roomtone wrote this",
  version_mismatch: "The other side runs another version of Roomtone",
};

/** The line above an error's own text. */
export function headline(report: ErrorReport): string {
  return headlines[report.code] ?? "Something went wrong";
}

/** Whether an error is about the pasted invite, and so belongs beside it. */
export function concernsInvite(report: ErrorReport): boolean {
  return report.code === "invalid_invite";
}

/** Any rejection as a report. What is none comes from a defect between window and program, and says so. */
export function asReport(reason: unknown): ErrorReport {
  if (isReport(reason)) return reason;
  const message = reason instanceof Error ? reason.message : String(reason);
  return { code: "window", message, hint: "If it happens again, start Roomtone anew." };
}

function isReport(value: unknown): value is ErrorReport {
  if (typeof value !== "object" || value === null) return false;
  const report = value as Partial<Record<keyof ErrorReport, unknown>>;
  return typeof report.code === "string" && typeof report.message === "string" && typeof report.hint === "string";
}
