import { configure } from "@testing-library/svelte";

// What a test waits for comes at once, unless the machine is busy otherwise.
configure({ asyncUtilTimeout: 30_000 });
