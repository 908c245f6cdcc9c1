import "./styles/base.css";

import { mount } from "svelte";

import App from "./App.svelte";
import { desktop } from "./lib/backend";
import { Studio } from "./lib/studio.svelte";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no element #app");

const studio = new Studio(desktop);
mount(App, { target, props: { studio } });
void studio.connect();
