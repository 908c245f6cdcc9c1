// The icon in the menu bar of the real app, worked over D-Bus as a panel works it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { scene } from "./support/scene.mjs";
import { Tray } from "./support/tray.mjs";
import { until } from "./support/wait.mjs";

/** Several times what it takes on a loaded machine with two cores. */
const TIMEOUT_MS = 240_000;

test("the tray's menu starts and stops a recording, and its icon says so", { timeout: TIMEOUT_MS }, () =>
  scene(async ({ desktop, open }) => {
    const tray = await Tray.start(desktop);
    const window = await open("host", { hertz: 440 });
    const before = await until("the icon is up", () => tray.look());
    assert.deepEqual(
      before.menu.map(({ label, enabled }) => [label, enabled]),
      [["Record", false], ["Show window", true], ["Quit Roomtone", true]],
      "outside a room there is nothing to record",
    );

    await window.host("Tray test");
    const idle = await tray.offers("Record");
    assert.equal(await tray.colour(), "plain");

    await tray.click("Record");
    await window.until("it is recording", async () => (await window.recordingState()) === "recording");
    const recording = await tray.offers("Stop recording");
    assert.notEqual(recording.icon, idle.icon, "another picture is shown");
    await until("the icon is red", async () => (await tray.colour()) === "red");
    await window.until("the clock goes on", async () => (await window.elapsed()) >= 2);
    assert.equal((await tray.look()).icon, recording.icon, "the icon does not blink");

    await window.pressClose();
    await window.until("the window is hidden", async () => !(await window.isVisible()));
    assert.equal(await window.recordingState(), "recording", "it keeps recording with its window closed");
    await tray.click("Show window");
    await window.until("the tray shows the window", () => window.isVisible());
    await window.pressClose();
    await window.until("the window is hidden again", async () => !(await window.isVisible()));
    await window.startAgain();
    await window.until("a second start shows the window", () => window.isVisible());
    assert.equal(await window.recordingState(), "recording", "the first start goes on");

    await tray.click("Stop recording");
    await window.until("the recording is over", async () => (await window.recordingState()) === "idle");
    await tray.offers("Record");
    await until("the icon is plain again", async () => (await tray.colour()) === "plain");
    await window.until("the recording is ready", async () => (await window.texts("recording-state"))[0] === "Ready", 60_000);

    await tray.click("Quit Roomtone");
    await until("the app has left", async () => (await tray.look()) === null, 30_000);
  }),
);

test("without a panel for the icon, closing the window ends the app", { timeout: TIMEOUT_MS }, () =>
  scene(async ({ open }) => {
    const window = await open("host", { hertz: 440 });
    await window.pressClose();
    await until("the app has ended", async () => !(await window.isRunning()), 30_000);
  }),
);
