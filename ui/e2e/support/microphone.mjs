import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import { need } from "./program.mjs";

const RATE = 48_000;

/**
 * A microphone that hears one tone: a sound server of its own with a null sink, whose monitor is the only input.
 * Returns the environment that leads a program to it.
 */
export async function startMicrophone(desktop, home, hertz) {
  const remedy = "apt-get install pulseaudio pulseaudio-utils";
  // Without screen and bus: on one bus there can be one sound server only.
  const { DISPLAY: _screen, DBUS_SESSION_BUS_ADDRESS: _bus, ...env } = desktop.environment(home);
  const server = `unix:${join(env.XDG_RUNTIME_DIR, "sound")}`;
  const daemon = desktop.run(
    need("pulseaudio", remedy),
    [
      "-n",
      "--daemonize=no",
      "--use-pid-file=no",
      "--exit-idle-time=-1",
      "--disallow-exit",
      "-L",
      `module-null-sink sink_name=voice rate=${RATE} channels=1 norewinds=1`,
      "-L",
      `module-native-protocol-unix auth-anonymous=1 socket=${join(env.XDG_RUNTIME_DIR, "sound")}`,
    ],
    { log: `${home}-pulseaudio`, env },
  );
  const withServer = { ...env, PULSE_SERVER: server };
  const pactl = need("pactl", remedy);
  await daemon.until("PulseAudio answers", async () => {
    const { stdout } = await promisify(execFile)(pactl, ["info"], { env: withServer, timeout: 2_000 });
    return stdout.includes("Default Source: voice.monitor");
  });

  const args = ["--playback", "--device=voice", "--format=s16le", `--rate=${RATE}`, "--channels=1", "--latency-msec=50"];
  const player = desktop.run(need("pacat", remedy), args, { log: `${home}-pacat`, env: withServer, stdin: "pipe" });
  sing(player.stdin, hertz);
  return { PULSE_SERVER: server };
}

/** A tone that comes and goes once a second, at -12 dBFS, for as long as somebody takes it. */
function sing(stream, hertz) {
  // A whole second of whole periods, so that it can be repeated.
  const second = Buffer.alloc(RATE * 2);
  for (let n = 0; n < RATE; n += 1) {
    const swell = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / RATE);
    second.writeInt16LE(Math.round(8192 * swell * Math.sin((2 * Math.PI * hertz * n) / RATE)), n * 2);
  }
  const more = () => {
    while (!stream.destroyed && stream.write(second));
  };
  stream.on("drain", more);
  // The player was ended; the tone ends with it.
  stream.on("error", () => stream.destroy());
  more();
}
