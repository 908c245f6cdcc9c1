// Two windows of the real app in one room: what one person does, the other one sees.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { scene } from "./support/scene.mjs";

/** Several times what it takes on a loaded machine with two cores. */
const TIMEOUT_MS = 240_000;

test("one hosts, another joins by invite, a recording stands in both lists", { timeout: TIMEOUT_MS }, () =>
  scene(async ({ open }) => {
    const host = await open("host", { hertz: 440 });
    const invite = await host.host("Window test");
    assert.match(invite, /^http:\/\/.+\/r\/[0-9a-f]{32}#[\w-]+\.[\w-]+$/, "an invite without the host's rights");

    const guest = await open("guest", { hertz: 1000 });
    await guest.join(invite, "Bea <b>bold</b>");
    const both = [host, guest];
    for (const window of both) {
      await window.until("two people are there", async () => (await window.texts("person")).length === 2);
      const labels = await window.texts("person-label");
      assert.ok(labels.includes("Bea <b>bold</b>"), `a name is text: ${labels}`);
      await window.until("both are seen to speak", async () => {
        const seen = await window.texts("speaking");
        return seen.length === 2 && seen.every((each) => each === "speaking");
      });
      assert.equal(await window.recordingState(), "idle");
    }

    await host.type("record-name", "First light");
    await host.click("record");
    for (const window of both) {
      await window.until("it is recording", async () => (await window.recordingState()) === "recording");
      const [banner] = await window.texts("recording-banner");
      assert.match(banner, /This room is being recorded\. Your microphone is part of it\./);
      await window.until("the clock goes on", async () => (await window.elapsed()) >= 3);
      assert.ok((await window.elapsed()) < 60, "the clock counts this recording");
    }
    await host.screenshot("recording");

    // The guest stops: everyone may, unless the room says otherwise.
    await guest.click("stop");
    for (const window of both) {
      await window.until("the recording is over", async () => (await window.recordingState()) === "idle");
      await window.until("the recording is ready", async () => (await window.texts("recording-state"))[0] === "Ready", 60_000);
      assert.deepEqual(await window.texts("recording-title"), ["First light"]);
      const [facts] = await window.texts("recording-facts");
      assert.match(facts, /2 channels/);
      assert.match(facts, /Gapless/);
    }

    await guest.click("get-link");
    const link = await guest.until("a link is given", () => guest.attribute("link", "value"));
    const answer = await fetch(link);
    assert.equal(answer.status, 200, "the link downloads the file");
    const wav = Buffer.from(await answer.arrayBuffer());
    assert.equal(wav.toString("latin1", 0, 4), "RIFF");
    const format = wav.indexOf("fmt ");
    assert.equal(wav.readUInt16LE(format + 10), 2, "a channel for each person");
    assert.equal(wav.readUInt32LE(format + 12), 48_000);

    await guest.click("leave");
    await guest.until("it is back in the lobby", async () => (await guest.phase()) === "lobby");
    await host.until("the guest has left", async () => (await host.driver.executeScript(
      () => [...document.querySelectorAll('[data-testid="person"]')].map((each) => each.dataset.presence),
    )).includes("left"));
  }),
);

test("a guest mutes, and the host closes the room while it records", { timeout: TIMEOUT_MS }, () =>
  scene(async ({ open }) => {
    const host = await open("host", { hertz: 440 });
    const guest = await open("guest", { hertz: 1000 });
    await guest.join(await host.host("Closing test"), "Bea");
    await host.until("two people are there", async () => (await host.texts("person")).length === 2);
    await host.click("record");
    await guest.until("it is recording", async () => (await guest.recordingState()) === "recording");
    await guest.until("the clock goes on", async () => (await guest.elapsed()) >= 2);

    const seenMuted = async () => (await host.texts("person")).some((line) => /^Bea\b.*\bmuted\b/.test(line));
    await guest.click("mute");
    await host.until("everybody sees that she is muted", seenMuted);
    const mutedFor = await guest.elapsed();
    await guest.until("her channel goes on", async () => (await guest.elapsed()) >= mutedFor + 3);
    await guest.click("mute");
    await host.until("everybody sees that she is not", async () => !(await seenMuted()));
    const heardFrom = await guest.elapsed();
    await guest.until("she is heard again", async () => (await guest.elapsed()) >= heardFrom + 2);

    await host.click("leave");
    await guest.until("she is sent home", async () => (await guest.phase()) === "lobby");
    assert.equal(await guest.error(), null, "which is no error");
    await host.until("the host is in the lobby", async () => (await host.phase()) === "lobby", 60_000);

    // What was recorded is finalized, with all that both said.
    const recordings = join(host.dataDir, "recordings");
    const [recording, ...others] = readdirSync(recordings);
    assert.deepEqual(others, [], "one recording");
    const metadata = JSON.parse(readFileSync(join(recordings, recording, "take.json"), "utf8"));
    assert.ok(metadata.gapless, JSON.stringify(metadata));
    const causes = metadata.channels.map(({ gaps }) => gaps.map(({ cause }) => cause));
    assert.deepEqual(causes, [[], ["muted"]]);
    const [{ from, to }] = metadata.channels[1].gaps;
    assert.ok(to - from >= 2 * 48_000 && from > 0 && to < metadata.frames, `muted from ${from} to ${to}`);
  }),
);

test("a damaged invite is refused beside the field, and nothing else happens", { timeout: TIMEOUT_MS }, () =>
  scene(async ({ open }) => {
    const guest = await open("guest", { hertz: 440 });
    await guest.type("join-invite", "http://127.0.0.1:1/r/00000000000000000000000000000000");
    await guest.click("join-submit");
    await guest.until("the refusal is shown", async () => (await guest.attribute("error", "data-code")) === "invalid_invite");
    assert.equal(await guest.attribute("join-invite", "aria-invalid"), "true");
    assert.equal(await guest.phase(), "lobby");
  }),
);
