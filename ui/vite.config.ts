import { svelte } from "@sveltejs/vite-plugin-svelte";
import { svelteTesting } from "@testing-library/svelte/vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte(), svelteTesting()],
  clearScreen: false,
  // The desktop shell's development build looks for the window here.
  server: { port: 1420, strictPort: true },
  build: {
    // Safari 15 is the system's own engine on macOS 11, the oldest that the bundle admits.
    target: ["es2022", "safari15"],
    // Embedded in the program: inlined pictures would need `data:` in more of the content security policy.
    assetsInlineLimit: 0,
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.ts"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
    // Nothing in them takes long by itself; vitest's 5 s are too little for a machine that is busy otherwise.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
