// SPDX-License-Identifier: Apache-2.0
// Whether what is asked still looks like what the model was made for; only where the server watches it.
import { askJson, has, modelPath } from "./api.js";
import { h, number, table } from "./dom.js";
import { scrape } from "./metrics.js";
import { t } from "./words.js";

const ratio = value => (typeof value === "number" ? `${number(100 * value, 3)} %` : "–");

function rows(features) {
  const state = f => h("span", { class: f.drifted || f.missing_drifted ? "level error" : "" }, f.drifted || f.missing_drifted ? t("drifts") : t("as before"));
  return features.map(f => [f.name, f.side === "output" ? t("output") : t("input"), state(f), f.psi ?? "–", f.ks ?? "–",
    ratio(f.missing), ratio(f.baseline_missing)]);
}

export async function drift(place, model) {
  const mine = s => s.name === "sardonyx_drifted" && s.labels.model === model.name && (s.labels.version ?? model.version) === model.version;
  if (!has("/v2/models/{model}/drift") || !(await scrape()).some(mine)) return;
  const answer = await askJson(modelPath(model.name, model.version, "drift"));
  place.append(h("section", {}, h("h2", {}, t("Drift")),
    h("p", { class: answer.input_drift || answer.prediction_drift ? "problem" : "" },
      answer.input_drift ? t("The inputs are not what they were.") : t("The inputs are as before."), " ",
      answer.prediction_drift ? t("The answers are not what they were.") : t("The answers are as before.")),
    table(t("{n} requests looked at", { n: number(answer.requests) }),
      [t("Name"), t("Side"), t("State"), "PSI", "KS", t("Missing"), t("Missing before")], rows(answer.features))));
}
