// SPDX-License-Identifier: Apache-2.0
// The graph of a model, or of two versions: graph.html#/NAME/VERSION or #/NAME/VERSION/OTHER. The page that shows it
// (view/) is asked for as everything is, with the key where there is one, and stands in a frame.
import { ask, modelPath } from "./api.js";
import { h, problem } from "./dom.js";
import { begin, t } from "./words.js";

const main = document.getElementById("main");
let shown = "";

async function show() {
  const [, name, version, against] = location.hash.split("/").map(decodeURIComponent);
  const title = t("The graph of {name}, version {n}", { name, n: version });
  try {
    const page = await ask(modelPath(name, version, "graph") + (against ? `?against=${encodeURIComponent(against)}` : ""));
    URL.revokeObjectURL(shown);
    shown = URL.createObjectURL(await page.blob());
    main.replaceChildren(h("iframe", { title, src: shown }));
  } catch (error) {
    main.replaceChildren(h("h1", {}, title), problem(error));
  }
}

await begin(() => {});
addEventListener("hashchange", show);
show();
