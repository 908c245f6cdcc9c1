import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { need, Program } from "./program.mjs";

/** A screen and a session bus of their own, and a folder for everything that a test leaves. */
export class Desktop {
  #programs = [];

  static async start() {
    const desktop = new Desktop();
    // A short path: sockets below it have 108 bytes for their names.
    desktop.folder = mkdtempSync(join(tmpdir(), "rt-"));
    try {
      await desktop.#startScreen();
      await desktop.#startBus();
    } catch (error) {
      await desktop.stop();
      throw error;
    }
    return desktop;
  }

  async #startScreen() {
    const xvfb = need("Xvfb", "apt-get install xvfb");
    // It chooses a free display itself and tells its number on descriptor 3 once it can be used.
    const args = ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"];
    const screen = this.run(xvfb, args, { log: "xvfb", extra: ["pipe"] });
    let number = "";
    screen.pipe(3).on("data", (data) => (number += data));
    await screen.until("Xvfb tells its display", () => number.endsWith("\n"));
    this.display = `:${number.trim()}`;
  }

  async #startBus() {
    const daemon = need("dbus-daemon", "apt-get install dbus");
    const bus = this.run(daemon, ["--session", "--nofork", "--print-address=1"], { log: "dbus", stdout: "pipe" });
    let address = "";
    bus.stdout.on("data", (data) => (address += data));
    await bus.until("the session bus tells its address", () => address.endsWith("\n"));
    this.bus = address.trim();
  }

  /** The environment of somebody who sits at this desktop and whose files lie in `home`. */
  environment(home = "desktop") {
    const folder = join(this.folder, home);
    const runtime = join(folder, "run");
    mkdirSync(runtime, { recursive: true });
    chmodSync(runtime, 0o700);
    const { PATH, LANG = "C.UTF-8", RUST_LOG = "warn,roomtone=info", RUST_BACKTRACE = "1" } = process.env;
    return {
      PATH,
      LANG,
      RUST_LOG,
      RUST_BACKTRACE,
      HOME: folder,
      XDG_RUNTIME_DIR: runtime,
      ...(this.display && { DISPLAY: this.display }),
      ...(this.bus && { DBUS_SESSION_BUS_ADDRESS: this.bus }),
      GDK_BACKEND: "x11",
      LIBGL_ALWAYS_SOFTWARE: "1",
      NO_AT_BRIDGE: "1",
    };
  }

  /** Starts a program that ends with the desktop. */
  run(command, args, { log, env = this.environment(), ...rest }) {
    const program = new Program(command, args, { env, log: join(this.folder, `${log}.log`), ...rest });
    this.#programs.push(program);
    return program;
  }

  /** Ends everything, last started first. `keep` leaves logs and screenshots where they are. */
  async stop({ keep = false } = {}) {
    for (const program of this.#programs.reverse()) await program.stop();
    this.#programs = [];
    if (!keep) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
