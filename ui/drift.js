// SPDX-License-Identifier: Apache-2.0
// Whether what is asked still looks like what the model was made for; only where the server watches it.
import { askMaybe, has, modelPath } from "./api.js";
import { h, number, table } from "./dom.js";
import { t } from "./words.js";

const ROUTE = "/v2/models/{model}/drift";
const words = value => (typeof value === "number" ? value : typeof value === "boolean" ? (value ? t("yes") : t("no"))
  : value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));

export async function drift(place, model) {
  if (!has(ROUTE)) return;
  const answer = await askMaybe(modelPath(model.name, null, "drift"));
  const features = answer?.features ?? answer?.inputs;
  if (!Array.isArray(features) || !features.length) return;
  const heads = [...new Set(features.flatMap(Object.keys))].filter(key => typeof features[0][key] !== "object");
  place.append(h("section", {}, h("h2", {}, t("Drift of the inputs")),
    answer.requests !== undefined && h("p", { class: "hint" }, t("{n} requests looked at", { n: number(answer.requests) })),
    table(t("Drift of the inputs"), heads, features.map(f => heads.map(key => words(f[key]))))));
}
