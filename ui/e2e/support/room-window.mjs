import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Builder, By, Capabilities } from "selenium-webdriver";

import { freePort } from "./desktop.mjs";
import { need, needPython } from "./program.mjs";
import { until } from "./wait.mjs";

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

/** The app, built with its window inside. */
function application() {
  const named = process.env.ROOMTONE_DESKTOP;
  const target = process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target");
  const remedy =
    "npm --prefix ui run build && cargo build -p roomtone-desktop, or name the program in ROOMTONE_DESKTOP";
  return need(named ?? join(resolve(target), "debug", "roomtone-desktop"), remedy);
}

/** A running app, driven through its window. */
export class RoomWindow {
  /** `home` names its folders; `env` adds to its environment. */
  static async open(desktop, home, env = {}) {
    const window = new RoomWindow();
    window.desktop = desktop;
    window.home = home;
    const cargo = join(process.env.CARGO_HOME ?? join(process.env.HOME ?? "/", ".cargo"), "bin", "tauri-driver");
    const driver = need(
      process.env.ROOMTONE_TAURI_DRIVER ?? "tauri-driver",
      "cargo install tauri-driver --version 2.1.0 --locked",
      [cargo],
    );
    const native = need("WebKitWebDriver", "apt-get install webkit2gtk-driver");
    window.dataDir = join(desktop.folder, home, "data");
    mkdirSync(window.dataDir, { recursive: true });
    const [port, nativePort] = [await freePort(), await freePort()];
    // The app inherits this environment.
    window.environment = {
      ...desktop.environment(home),
      ROOMTONE_DATA_DIR: window.dataDir,
      ROOMTONE_LISTEN: "127.0.0.1:0",
      ROOMTONE_MEDIA_ADDRS: "127.0.0.1",
      ...env,
    };
    const args = ["--port", `${port}`, "--native-port", `${nativePort}`, "--native-driver", native];
    window.program = desktop.run(driver, args, { log: home, env: window.environment });

    const capabilities = new Capabilities();
    capabilities.setBrowserName("wry");
    capabilities.set("tauri:options", { application: application() });
    window.driver = await window.program.until(
      `the window of ${home} opens`,
      () => new Builder().withCapabilities(capabilities).usingServer(`http://127.0.0.1:${port}/`).build(),
      60_000,
    );
    await window.until("the studio answers", async () => (await window.phase()) !== "starting");
    return window;
  }

  /** Waits for something of this window; a failure names it and tells the app's last words. */
  async until(what, probe, timeoutMs) {
    try {
      return await until(`${this.home}: ${what}`, probe, timeoutMs);
    } catch (error) {
      const shown = await this.error().catch(() => null);
      error.message += `${shown ? `\nthe window shows: ${shown}` : ""}\nthe app's last words:\n${this.program.tail()}`;
      throw error;
    }
  }

  find(testid) {
    return this.driver.findElement(By.css(`[data-testid="${testid}"]`));
  }

  /** Texts of all elements of a kind, read at one instant. */
  texts(testid) {
    return this.driver.executeScript(
      (wanted) =>
        [...document.querySelectorAll(`[data-testid="${wanted}"]`)].map((each) =>
          each.textContent.replace(/\s+/g, " ").trim(),
        ),
      testid,
    );
  }

  attribute(testid, name) {
    return this.find(testid).getAttribute(name);
  }

  async click(testid) {
    await this.until(`${testid} can be clicked`, async () => this.find(testid).isEnabled());
    await this.find(testid).click();
  }

  async type(testid, text) {
    await this.find(testid).sendKeys(text);
  }

  phase() {
    return this.driver.executeScript(() => document.querySelector("[data-phase]")?.dataset.phase);
  }

  async error() {
    const [text] = await this.texts("error");
    return text ?? null;
  }

  /** `idle`, or the current recording's state. */
  recordingState() {
    return this.attribute("record-panel", "data-state");
  }

  /** The clock, in seconds. */
  async elapsed() {
    const [text] = await this.texts("elapsed");
    return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  }

  async host(name) {
    await this.type("host-name", name);
    await this.click("host-submit");
    await this.#enterRoom();
    return this.until("the invite stands there", () => this.attribute("invite", "value"));
  }

  async join(invite, name) {
    await this.type("join-invite", invite);
    await this.type("join-name", name);
    await this.click("join-submit");
    await this.#enterRoom();
  }

  async #enterRoom() {
    await this.until("it is in the room", async () => (await this.phase()) === "room", 30_000);
    await this.until("the host is connected", async () => (await this.attribute("connection", "data-connection")) === "connected", 30_000);
  }

  /** Whether the window is on the screen. */
  isVisible() {
    return this.driver.executeScript(() => document.visibilityState === "visible");
  }

  /** Whether the app's program is there: the driver has a window to ask. */
  async isRunning() {
    try {
      await this.driver.getWindowHandle();
      return true;
    } catch {
      return false;
    }
  }

  /** As the X in its corner does. */
  async pressClose() {
    const helper = join(dirname(fileURLToPath(import.meta.url)), "close_window.py");
    await promisify(execFile)(needPython(), [helper, "Roomtone"], { env: this.environment, timeout: 10_000 });
  }

  /** Starts the app again on the same data folder, and waits until that start is over. */
  async startAgain() {
    await promisify(execFile)(application(), [], { env: this.environment, timeout: 20_000 });
  }

  /** A picture of the window; returns where it lies. */
  async screenshot(name) {
    const path = join(this.desktop.folder, `${this.home}-${name}.png`);
    writeFileSync(path, await this.driver.takeScreenshot(), "base64");
    return path;
  }

  async close() {
    // The app may be gone already, and the desktop ends what is left.
    await this.driver?.quit().catch(() => {});
    await this.program?.stop();
  }
}
