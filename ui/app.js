// SPDX-License-Identifier: Apache-2.0
// The page: which view the address asks for, and drawing it. A view is a function of its words that returns what ends
// it, or nothing.
import { problem } from "./dom.js";
import { begin } from "./words.js";
import { showModels, showModel } from "./models.js";
import { showLive } from "./live.js";
import { showLogs } from "./logs.js";

const VIEWS = { "": showModels, models: showModel, live: showLive, logs: showLogs };
const main = document.getElementById("main");
let end = null, turn = 0;

async function show() {
  const [, view = "", ...words] = location.hash.split("/").map(decodeURIComponent);
  const mine = ++turn;
  end?.();
  end = null;
  for (const link of document.querySelectorAll("nav a"))
    if (link.hash === `#/${view === "models" ? "" : view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  const place = document.createElement("div");
  main.replaceChildren(place);
  try {
    const ending = await (VIEWS[view] ?? showModels)(place, ...words);
    if (mine === turn) end = ending;
    else ending?.();
  } catch (error) {
    place.append(problem(error));
  }
}

await begin(show);
addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#/")) return; // the link to the content
  show().then(() => main.focus());
});
show();
