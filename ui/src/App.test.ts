import { fireEvent, render, screen, within } from "@testing-library/svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import App from "./App.svelte";
import type { View } from "./bindings/View";
import { Studio } from "./lib/studio.svelte";
import { entry, FakeBackend, id, inRoom, person, state, status } from "./test/fixtures";

async function open(view: View, now: () => number = () => 0) {
  const backend = new FakeBackend(view);
  const studio = new Studio(backend, now);
  render(App, { studio });
  await studio.connect();
  const show = async (next: View) => {
    backend.show(next);
    await Promise.resolve();
  };
  return { backend, studio, show };
}

const lobby: View = { phase: "lobby", room: null, error: null };
const recording = (elapsed_ms = 0) => state({ current: status({ elapsed_ms }) });

describe("the lobby", () => {
  it("hosts a room", async () => {
    const { backend } = await open(lobby);
    await fireEvent.input(screen.getByLabelText("Name of the room"), { target: { value: "Tuesday" } });
    await fireEvent.click(screen.getByRole("button", { name: "Host a room" }));
    expect(backend.hostRoom).toHaveBeenCalledExactlyOnceWith("Tuesday");
  });

  it("says that a room may be recorded before somebody joins", async () => {
    const { backend } = await open(lobby);
    expect(screen.getByText(/The room may be recorded, and you with it/)).toBeTruthy();
    await fireEvent.input(screen.getByLabelText("Invite"), { target: { value: "http://x/r/1#a.b" } });
    await fireEvent.input(screen.getByLabelText(/Your name/), { target: { value: "Ada" } });
    await fireEvent.click(screen.getByLabelText(/Listen only/));
    expect(screen.getByText(/Without a microphone you are not/)).toBeTruthy();
    await fireEvent.click(screen.getByRole("button", { name: "Join" }));
    expect(backend.joinRoom).toHaveBeenCalledExactlyOnceWith("http://x/r/1#a.b", "Ada", true);
  });

  it("shows a refusal with its code's headline, its message and what to do", async () => {
    await open({ ...lobby, error: { code: "invalid_invite", message: "the part after # is missing", hint: "Paste all of it." } });
    const notice = screen.getByRole("alert");
    expect(notice.textContent).toContain("This is not an invite");
    expect(notice.textContent).toContain("the part after # is missing");
    expect(notice.textContent).toContain("Paste all of it.");
    expect(screen.getByLabelText("Invite").getAttribute("aria-invalid")).toBe("true");
  });

  it("takes no second request on the way in", async () => {
    await open({ ...lobby, phase: "entering" });
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Join" }).disabled).toBe(true);
    expect(screen.getByText("On the way into the room…")).toBeTruthy();
  });
});

describe("people", () => {
  const people = [
    person({ host: true, channel: 0 }),
    person({ participant: id("b"), name: null, label: "Guest 2", channel: 1, muted: true }),
    person({ participant: id("c"), label: "Cleo", presence: "away" }),
    person({ participant: id("d"), label: "Dan", role: "observer" }),
    person({ participant: id("e"), label: "Eve", presence: "left" }),
  ];

  it("stand with their channel and how things are with them", async () => {
    await open(inRoom({ state: state({ people }) }));
    const lines = within(screen.getByTestId("people")).getAllByRole("listitem");
    const texts = lines.map((line) => line.textContent?.replace(/\s+/g, " ").trim());
    expect(texts).toEqual([
      "Ada you host quiet channel 1",
      "Guest 2 quiet muted · channel 2",
      "Cleo away",
      "Dan listening only",
    ]);
    expect(screen.getByText("1 left")).toBeTruthy();
  });

  it("are shown to speak, in words too, unless they are muted", async () => {
    const { backend } = await open(inRoom({ state: state({ people }) }));
    backend.hear({ [id("a")]: -20, [id("b")]: -20 });
    await Promise.resolve();
    expect(screen.getAllByTestId("speaking").map((each) => each.textContent)).toEqual(["speaking", "quiet"]);
    const bars = screen.getAllByTestId("level").map((bar) => (bar.firstElementChild as HTMLElement).style.transform);
    expect(bars).toEqual(["scaleX(0.667)", "scaleX(0.000)"]);
  });

  it("have names that are text, never markup", async () => {
    const name = '<img src="x" onerror="alert(1)"><b>Ben</b>';
    const current = status({ title: "<script>1</script>" });
    await open(
      inRoom({
        state: state({ name, people: [person({ name, label: name })], current }),
        recordings: [entry({ recording: id("2"), title: name })],
        microphone: name,
      }),
    );
    expect(document.querySelector("img, b, script")).toBeNull();
    expect(screen.getByTestId("person-label").textContent).toBe(name);
    expect(screen.getByTestId("recording-title").textContent).toBe(name);
    expect(screen.getByTestId("room-name").textContent).toBe(name);
  });
});

describe("recording", () => {
  it("Record sends start with the title, never stop", async () => {
    const { backend } = await open(inRoom());
    expect(screen.queryByTestId("stop")).toBeNull();
    await fireEvent.input(screen.getByLabelText(/Title/), { target: { value: " Take one " } });
    await fireEvent.click(screen.getByRole("button", { name: "Record" }));
    expect(backend.startRecording).toHaveBeenCalledExactlyOnceWith("Take one");
    expect(backend.stopRecording).not.toHaveBeenCalled();
  });

  it("Stop sends stop, and a new take sends start", async () => {
    const { backend } = await open(inRoom({ state: recording() }));
    expect(screen.queryByTestId("record")).toBeNull();
    await fireEvent.click(screen.getByRole("button", { name: "Stop" }));
    expect(backend.stopRecording).toHaveBeenCalledOnce();
    expect(backend.startRecording).not.toHaveBeenCalled();
    await fireEvent.click(screen.getByRole("button", { name: "New take" }));
    expect(backend.startRecording).toHaveBeenCalledExactlyOnceWith(null);
  });

  it("a button goes on meaning what it said while the state changes under it", async () => {
    const { backend, show } = await open(inRoom());
    const button = screen.getByRole("button", { name: "Record" });
    await show(inRoom({ state: recording() }));
    await fireEvent.click(button);
    expect(backend.stopRecording).not.toHaveBeenCalled();
  });

  it("is plain to see for everyone, and for who is part of it", async () => {
    const { show } = await open(inRoom());
    expect(screen.getByTestId("recording-banner").textContent?.trim()).toBe("");
    await show(inRoom({ state: recording() }));
    expect(screen.getByTestId("recording-banner").textContent).toContain("This room is being recorded.");
    expect(screen.getByTestId("recording-banner").textContent).toContain("Your microphone is part of it.");
    await show(inRoom({ state: recording(), microphone: null }));
    expect(screen.getByTestId("recording-banner").textContent).toContain("You have no microphone in it.");
  });

  it("is off for guests where only the host records, and while the host is out of reach", async () => {
    const { show } = await open(inRoom({ state: state({ record_by: "host" }) }));
    const button = () => screen.getByTestId<HTMLButtonElement>("record");
    expect(button().disabled).toBe(true);
    expect(screen.getByText("In this room the host records.")).toBeTruthy();
    await show(inRoom({ hosting: true, state: state({ record_by: "host" }) }));
    expect(button().disabled).toBe(false);
    await show(inRoom({ recorder: "unreachable" }));
    expect(button().disabled).toBe(true);
    expect(screen.getByTestId("connection").textContent).toContain("What you say is kept here meanwhile");
  });

  describe("shows the time", () => {
    let now = 0;
    beforeEach(() => {
      now = 0;
      vi.useFakeTimers();
    });
    afterEach(() => void vi.useRealTimers());

    const advance = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 50) {
        now += 50;
        await vi.advanceTimersByTimeAsync(50);
      }
    };

    it("which goes on between states and is corrected by each", async () => {
      const { show } = await open(inRoom({ state: recording(58_500) }), () => now);
      const elapsed = () => screen.getByTestId("elapsed").textContent;
      expect(elapsed()).toBe("0:58");
      await advance(500);
      expect(elapsed()).toBe("0:59");
      await advance(1_000);
      expect(elapsed()).toBe("1:00");
      await show(inRoom({ state: recording(62_000) }));
      expect(elapsed()).toBe("1:02");
      expect(screen.getByRole("timer").getAttribute("aria-label")).toBe("1 minute 2 seconds");
    });
  });
});

describe("you", () => {
  it("can mute, unmute, be renamed and leave", async () => {
    const { backend, show } = await open(inRoom());
    await fireEvent.click(screen.getByRole("button", { name: "Mute" }));
    expect(backend.setMuted).toHaveBeenLastCalledWith(true);
    await show(inRoom({ state: state({ people: [person({ muted: true })] }) }));
    await fireEvent.click(screen.getByRole("button", { name: "Unmute" }));
    expect(backend.setMuted).toHaveBeenLastCalledWith(false);
    await fireEvent.input(screen.getByLabelText("Your name"), { target: { value: "Ada L." } });
    await fireEvent.click(screen.getByRole("button", { name: "Save name" }));
    expect(backend.setName).toHaveBeenCalledExactlyOnceWith("Ada L.");
    await fireEvent.click(screen.getByRole("button", { name: "Leave" }));
    expect(backend.leave).toHaveBeenCalledOnce();
  });

  it("are told when it is safe to quit", async () => {
    const { show } = await open(inRoom());
    expect(screen.getByTestId("safe-to-quit").textContent).toContain("Safe to quit");
    await show(inRoom({ safe_to_quit: false }));
    expect(screen.getByTestId("safe-to-quit").textContent).toContain("still on its way");
  });

  it("can copy the invite", async () => {
    const writeText = vi.fn(async () => {});
    vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText } });
    await open(inRoom());
    await fireEvent.click(screen.getByRole("button", { name: "Copy" }));
    expect(writeText).toHaveBeenCalledWith("http://127.0.0.1:7880/r/9#key.secret");
    expect(await screen.findByText("Copied")).toBeTruthy();
    vi.unstubAllGlobals();
  });
});

describe("recordings", () => {
  it("stand with length, channels, size and verdict", async () => {
    await open(inRoom({ recordings: [entry({ title: "Pilot" }), entry({ recording: null, key: "x/b.wav", gapless: false })] }));
    const facts = screen.getAllByTestId("recording-facts").map((each) => each.textContent);
    expect(facts[0]).toMatch(/1:00.*2 channels.*17\.3 MB.*Gapless/s);
    expect(facts[1]).toContain("Something is missing");
    expect(screen.getAllByTestId("recording-title").map((each) => each.textContent)).toEqual(["Pilot", "b.wav"]);
  });

  it("give a link when they are asked, by id or by key", async () => {
    const { backend } = await open(inRoom({ recordings: [entry({ recording: null, key: "x/b.wav" })] }));
    await fireEvent.click(screen.getByRole("button", { name: "Get link to b.wav" }));
    expect(backend.recordingLink).toHaveBeenCalledWith("x/b.wav");
    const field = await screen.findByLabelText<HTMLInputElement>("Link to b.wav");
    expect(field.value).toContain("signature=1");
    await fireEvent.click(screen.getByRole("button", { name: "Download b.wav" }));
    expect(backend.openRecording).toHaveBeenCalledWith("x/b.wav");
  });

  it("come a page at a time, and say how many there are", async () => {
    const { backend, show } = await open(inRoom({ recordings: [entry()], recordings_total: 12_345, more_recordings: "behind" }));
    expect(screen.getByText("1 of 12,345")).toBeTruthy();
    await fireEvent.click(screen.getByRole("button", { name: "Show older ones" }));
    expect(backend.moreRecordings).toHaveBeenCalledOnce();
    await show(inRoom({ recordings: [entry(), entry({ recording: id("2") })] }));
    expect(screen.getAllByTestId("recording")).toHaveLength(2);
    expect(screen.queryByTestId("more-recordings")).toBeNull();
  });

  it("say what is wrong with what is known about them", async () => {
    await open(inRoom({ recordings: [entry({ metadata: "damaged" })] }));
    expect(screen.getByTestId("metadata-trouble").textContent).toContain("damaged");
  });

  it("cannot be fetched before they are up", async () => {
    await open(inRoom({ recordings: [entry({ state: "uploading" })], state: state({ finalizing: [status({ recording: id("2"), state: "finalizing" })] }) }));
    expect(screen.getAllByTestId("recording-state").map((each) => each.textContent)).toEqual(["Finalizing", "Uploading"]);
    expect(screen.queryByTestId("download")).toBeNull();
  });

  it("say where they can be fetched", async () => {
    const recordings = [entry({ reach: "host_only" })];
    const { show } = await open(inRoom({ recordings }));
    expect(screen.getByTestId("host-only").textContent).toContain("on the host’s computer only");
    expect(screen.queryByTestId("download")).toBeNull();
    await show(inRoom({ recordings, hosting: true }));
    expect(screen.getByTestId("download")).toBeTruthy();
    expect(screen.getByTestId("host-only").textContent).toContain("Links work on this computer only");
  });

  it("say beside themselves why a link was refused", async () => {
    const { backend, show } = await open(inRoom({ recordings: [entry()] }));
    const error = { code: "not_uploaded", message: "it is on its way", hint: "Wait a little." };
    backend.recordingLink.mockImplementationOnce(async () => {
      await show({ ...inRoom({ recordings: [entry()] }), error });
      throw error;
    });
    await fireEvent.click(screen.getByTestId("get-link"));
    const refusal = await screen.findByTestId("recording-error");
    expect(refusal.dataset["code"]).toBe("not_uploaded");
    expect(refusal.textContent).toContain("Wait a little.");
    expect(screen.queryByTestId("error")).toBeNull();
  });
});

it("begins each page at its heading", async () => {
  const { show } = await open(lobby);
  expect(document.activeElement?.textContent).toBe("Roomtone");
  await show(inRoom());
  expect(document.activeElement?.textContent).toBe("Tuesday");
});

it("says that it is leaving", async () => {
  const { backend } = await open(inRoom());
  backend.quit();
  expect(await screen.findByText(/Leaving the room/)).toBeTruthy();
});
