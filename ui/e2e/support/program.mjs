import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

import { until } from "./wait.mjs";

/** Where a program lies, or an error that says how to get it. */
export function need(program, remedy, alternatives = []) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  for (const candidate of [program, ...alternatives]) {
    if (candidate.includes("/")) {
      if (existsSync(candidate)) return candidate;
      continue;
    }
    const found = folders.map((folder) => join(folder, candidate)).find((path) => existsSync(path));
    if (found) return found;
  }
  throw new Error(`${program} is missing: ${remedy}`);
}

/** A Python that has the modules of Debian's packages, which another Python in front of it on the path has not. */
export function needPython() {
  for (const python of ["/usr/bin/python3", "python3"]) {
    if (spawnSync(python, ["-c", "import dbus, gi"]).status === 0) return python;
  }
  throw new Error("no python3 with dbus and gi: apt-get install python3-dbus python3-gi");
}

/** A program that belongs to the test, with all that it started. */
export class Program {
  #child;
  #ended = false;

  /** `log` takes what it prints; `stdio` names further pipes. */
  constructor(command, args, { env, log, stdin = "ignore", stdout = "log", extra = [] }) {
    this.name = command.split("/").pop();
    this.log = log;
    const file = createWriteStream(log, { flags: "a" });
    // A process group of its own: what it leaves behind can be ended with it.
    this.#child = spawn(command, args, { env, detached: true, stdio: [stdin, "pipe", "pipe", ...extra] });
    this.#child.on("error", (error) => file.write(`${error}\n`));
    this.#child.on("exit", (code, signal) => {
      this.#ended = true;
      file.write(`[ended: ${signal ?? code}]\n`);
    });
    this.#child.stderr.pipe(file, { end: false });
    if (stdout === "log") this.#child.stdout.pipe(file, { end: false });
  }

  get pid() {
    return this.#child.pid;
  }

  get ended() {
    return this.#ended;
  }

  get stdin() {
    return this.#child.stdin;
  }

  get stdout() {
    return this.#child.stdout;
  }

  /** A further pipe, from file descriptor 3 on. */
  pipe(descriptor) {
    return this.#child.stdio[descriptor];
  }

  /** The end of what it printed. */
  tail(lines = 15) {
    return existsSync(this.log) ? readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lines).join("\n") : "";
  }

  /** Like `until`, but gives up at once when the program ended. */
  async until(what, probe, timeoutMs) {
    let ended = false;
    const answer = await until(
      what,
      async () => {
        ended = this.#ended;
        return ended || (await probe());
      },
      timeoutMs,
    );
    if (ended) throw new Error(`${this.name} ended before: ${what}\n${this.tail()}`);
    return answer;
  }

  async stop() {
    for (const signal of ["SIGTERM", "SIGKILL"]) {
      if (!this.#signal(signal)) return;
      try {
        await until(`${this.name} ends`, () => this.#ended, 5_000);
        break;
      } catch {
        // The next signal is not asked for its opinion.
      }
    }
    // Children that outlived their parent.
    this.#signal("SIGKILL");
  }

  #signal(signal) {
    if (this.pid === undefined) return false;
    try {
      process.kill(-this.pid, signal);
      return true;
    } catch (error) {
      if (error.code === "ESRCH") return false;
      throw error;
    }
  }
}
