import type { Person } from "../bindings/Person";
import type { RoomView } from "../bindings/RoomView";

/** What is known of somebody besides the name, in words. */
export function standing(person: Person, recording: boolean): string[] {
  const words: string[] = [];
  if (person.presence === "away") words.push("away");
  if (person.presence === "left") words.push("left");
  if (person.muted && person.presence === "present") words.push("muted");
  if (person.role === "observer") words.push("listening only");
  if (person.channel !== null) words.push(`channel ${person.channel + 1}`);
  else if (recording && person.role === "participant" && person.presence === "present") words.push("no channel yet");
  return words;
}

/** Who is here or may be back, in order of joining, and who said goodbye. */
export function gather(people: readonly Person[]): { here: Person[]; gone: Person[] } {
  return {
    here: people.filter((person) => person.presence !== "left"),
    gone: people.filter((person) => person.presence === "left"),
  };
}

/** Me, as the recorder sees me. */
export function myself(room: RoomView): Person | null {
  return room.state?.people.find((person) => person.participant === room.me) ?? null;
}

/** Whether this window's person may start and stop. The recorder decides; this only spares a refusal. */
export function mayRecord(room: RoomView): boolean {
  if (!room.state) return false;
  return room.state.record_by === "everyone" || room.hosting || (myself(room)?.host ?? false);
}
