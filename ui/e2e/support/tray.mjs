import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { need, needPython } from "./program.mjs";
import { until } from "./wait.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));

/** The panel's side of the app's tray icon. */
export class Tray {
  #program;
  #answers = [];

  /** Before the app: it looks for a panel when it starts. */
  static async start(desktop) {
    const tray = new Tray();
    tray.#program = desktop.run(needPython(), ["-u", join(HERE, "tray_stub.py")], {
      log: "tray",
      stdin: "pipe",
      stdout: "pipe",
    });
    createInterface({ input: tray.#program.stdout }).on("line", (line) => tray.#answers.push(JSON.parse(line)));
    await tray.#next();
    return tray;
  }

  async #next() {
    await this.#program.until("the panel answers", () => this.#answers.length > 0, 20_000);
    const answer = this.#answers.shift();
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  #ask(request) {
    this.#program.stdin.write(`${JSON.stringify(request)}\n`);
    return this.#next();
  }

  /** The icon and its menu; null while there is none. */
  async look() {
    return (await this.#ask({ do: "look" })).item;
  }

  /** Waits until the menu has an item of this label that can be clicked. */
  async offers(label) {
    return until(`the tray offers ${label}`, async () => {
      const item = await this.look();
      return item?.menu.some((entry) => entry.label === label && entry.enabled) && item;
    });
  }

  async click(label) {
    await this.#ask({ do: "click", label });
  }

  /** The icon's picture in one word, from the PNG that the panel would show. */
  async colour() {
    const { icon } = await this.look();
    const convert = need("convert", "apt-get install imagemagick");
    const { status, stdout, stderr } = spawnSync(convert, [icon, "-depth", "8", "rgba:-"]);
    if (status !== 0) throw new Error(`the icon ${icon} is no picture: ${stderr}`);
    const counts = { red: 0, other: 0 };
    for (let i = 0; i < stdout.length; i += 4) {
      const [r, g, b, a] = stdout.subarray(i, i + 4);
      if (a > 128) counts[r > 180 && g < 90 && b < 90 ? "red" : "other"] += 1;
    }
    if (counts.red + counts.other === 0) throw new Error(`the icon ${icon} shows nothing`);
    return counts.red > counts.other ? "red" : "plain";
  }
}
