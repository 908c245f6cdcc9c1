// How numbers and times are written for people.

const SECOND_MS = 1000;

/** A running clock: `0:07`, `12:34`, `1:02:03`. A second that is not over does not count. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND_MS));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The same for ears: `1 hour 2 minutes 3 seconds`. */
export function spokenLength(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND_MS));
  const parts = [
    count(Math.floor(seconds / 3600), "hour"),
    count(Math.floor(seconds / 60) % 60, "minute"),
    count(seconds % 60, "second"),
  ].filter((part) => !part.startsWith("0 "));
  return parts.join(" ") || "0 seconds";
}

/** How long something will still take, as exactly as anybody can know: `a moment left`, `40 s left`, `2 min left`, `1 h 5 min left`. */
export function timeLeft(ms: number): string {
  const seconds = Math.ceil(Math.max(0, ms) / SECOND_MS);
  if (seconds <= 5) return "a moment left";
  if (seconds < 60) return `${Math.ceil(seconds / 5) * 5} s left`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

/** `1 channel`, `3 channels`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Decimal units with three significant digits at most, as file browsers show them: `999 B`, `1.5 kB`, `86.4 MB`. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.5 would be written as 1000.
  while (value >= (unit === 0 ? 1000 : 999.5) && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** An RFC 3339 time in the reader's own zone and manner. What is no time is shown as it is. */
export function moment(rfc3339: string, locale?: string): string {
  const date = new Date(rfc3339);
  if (Number.isNaN(date.getTime())) return rfc3339;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(date);
}
