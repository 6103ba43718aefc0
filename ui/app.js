// SPDX-License-Identifier: Apache-2.0
// The page: which view the address asks for, and drawing it. A view is a function of its words that returns what ends
// it, or nothing.
import { problem } from "./dom.js";
import { has } from "./api.js";
import { begin } from "./words.js";
import { showModels, showModel } from "./models.js";
import { showLive } from "./live.js";
import { showLogs } from "./logs.js";
import { showService } from "./services.js";
import { showAsset, showWorkspace } from "./workspace.js";

const showFirst = place => (has("/v2/models/{model}/infer") ? showModels(place) : showWorkspace(place));
const VIEWS = {
  "": showFirst, models: showModel, live: showLive, logs: showLogs, services: showService,
  workspace: (place, name) => (name ? showAsset(place, name) : showWorkspace(place)),
};
const HOME = { models: "#/", services: "#/workspace" }; // which link of the header they belong to
const main = document.getElementById("main");
let end = null, turn = 0;

async function show() {
  const [, view = "", ...words] = location.hash.split("/").map(decodeURIComponent);
  const mine = ++turn;
  end?.();
  end = null;
  for (const link of document.querySelectorAll("nav a"))
    if (link.hash === (HOME[view] ?? `#/${view || (has("/v2/models/{model}/infer") ? "" : "workspace")}`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  const place = document.createElement("div");
  main.replaceChildren(place);
  try {
    const ending = await (VIEWS[view] ?? showFirst)(place, ...words);
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
