import { Desktop } from "./desktop.mjs";
import { startMicrophone } from "./microphone.mjs";
import { RoomWindow } from "./room-window.mjs";

/**
 * Runs `act` on a fresh desktop and clears it away. When it fails, logs and a picture of every window stay, and the
 * failure says where; ROOMTONE_KEEP_SCENE keeps them always.
 */
export async function scene(act) {
  const desktop = await Desktop.start();
  const windows = [];
  const open = async (home, { hertz }) => {
    const window = await RoomWindow.open(desktop, home, await startMicrophone(desktop, home, hertz));
    windows.push(window);
    return window;
  };
  let failed = false;
  try {
    await act({ desktop, open });
  } catch (error) {
    failed = true;
    for (const window of windows) await window.screenshot("failure").catch(() => {});
    error.message += `\nlogs and pictures: ${desktop.folder}`;
    throw error;
  } finally {
    for (const window of windows.reverse()) await window.close();
    await desktop.stop({ keep: failed || Boolean(process.env.ROOMTONE_KEEP_SCENE) });
  }
}
