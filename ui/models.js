// SPDX-License-Identifier: Apache-2.0
// The models that are served; one of them: trying it, what it takes and gives, what it is made of, what changed.
import { askJson, askMaybe, has, listModels, modelPath } from "./api.js";
import { changes } from "./changes.js";
import { choose, field, h, number, problem, table } from "./dom.js";
import { drift } from "./drift.js";
import { form } from "./form.js";
import { keyOf, loadedModels } from "./metrics.js";
import { t } from "./words.js";

const address = ({ name, version }) => `#/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;

const CARDS = 60; // at once

const shapeWords = io => io.shape ? `[${io.shape.map(d => (d < 0 ? "?" : d)).join(", ")}]` : "";

async function card(model, loaded) {
  const there = loaded.has(model.name) || loaded.has(keyOf({ model: model.name, version: model.version }));
  const about = there ? await askMaybe(modelPath(model.name, model.version)) : null;
  const list = (words, ios) => h("p", {}, h("span", { class: "hint" }, words), " ",
    ios.map(io => `${io.name} ${io.datatype} ${shapeWords(io)}`).join(" · "));
  return h("li", {},
    h("h2", {}, h("a", { href: address(model) }, model.name), " ", h("span", { class: "version" }, t("version {n}", { n: model.version }))),
    about ? [list(t("takes"), about.inputs), list(t("gives"), about.outputs)] : h("p", { class: "hint" }, t("not loaded")));
}

export async function showModels(place) {
  const [models, loaded] = await Promise.all([listModels(), loadedModels()]);
  const cards = h("ul", { class: "cards" }), words = h("input", { type: "search", input: () => draw() }), more = h("p", { class: "hint", role: "status" });
  let turn = 0;
  async function draw() {
    const found = models.filter(m => m.name.toLowerCase().includes(words.value.toLowerCase())), mine = ++turn;
    const made = await Promise.all(found.slice(0, CARDS).map(model => card(model, loaded)));
    if (mine !== turn) return;
    cards.replaceChildren(...made);
    more.textContent = found.length > CARDS ? t("{n} of {all} models", { n: number(CARDS), all: number(found.length) }) : "";
  }
  place.append(...[h("h1", {}, t("Models")), models.length > 12 ? field(t("Search"), words) : "",
    models.length ? cards : h("p", {}, t("This server has no models beside its script.")), more]);
  return draw();
}

function made(about) {
  const { summary } = about, facts = [];
  for (const [key, value] of Object.entries(summary))
    if (typeof value === "string" || typeof value === "number") facts.push([key, value]);
  for (const [key, value] of Object.entries(summary.metadata ?? {}))
    facts.push([key, String(value).length > 300 ? `${String(value).slice(0, 300)}…` : String(value)]);
  const operators = Array.isArray(summary.operators)
    ? summary.operators.map(o => (typeof o === "object" ? [o.name ?? o.op ?? o.type, o.count ?? 1] : [o, 1]))
    : Object.entries(summary.operators ?? {});
  return h("section", {}, h("h2", {}, t("Made of")),
    h("div", { class: "columns" },
      facts.length > 0 && table(t("Metadata"), [t("Name"), t("Value")], facts),
      operators.length > 0 && table(t("Operators"), [t("Name"), t("Count")], operators.sort((a, b) => b[1] - a[1]))));
}

function takesAndGives(about) {
  const rows = ios => ios.map(io => [io.name, io.datatype, shapeWords(io)]);
  const heads = [t("Name"), t("Type"), t("Shape")];
  return h("section", {}, h("h2", {}, t("Inputs and outputs")),
    h("div", { class: "columns" },
      table(t("Inputs"), heads, rows([...about.inputs, ...about.optional_inputs ?? []])),
      table(t("Outputs"), heads, rows(about.outputs))));
}

// The page with the graph, where there is one.
const graphLink = (model, words, against) => has("/v2/models/{model}/graph") &&
  h("a", { href: `graph.html${[address(model).replace("#/models", "#"), against && encodeURIComponent(against)].filter(Boolean).join("/")}` }, words);

// What changed against another version of the name.
function compared(model, summary, others) {
  const place = h("div", { "aria-live": "polite" }), graph = h("span");
  const against = async version => {
    try {
      const other = await askJson(modelPath(model.name, version, "summary"));
      place.replaceChildren(changes(other, summary));
      graph.replaceChildren(graphLink(model, t("Both graphs"), version) || "");
    } catch (error) {
      place.replaceChildren(problem(error));
    }
  };
  const before = others.find(v => Number(v) < Number(model.version)) ?? others[0];
  against(before);
  return h("section", {}, h("h2", {}, t("What changed")),
    h("div", { class: "filter" }, field(t("Compared with version"), choose(others.map(v => [v, v]), before, against)), graph), place);
}

export async function showModel(place, name, version) {
  const versions = (await listModels()).filter(m => m.name === name).map(m => m.version);
  const model = { name, version: version ?? versions[0] };
  const about = await askJson(modelPath(name, model.version));
  const summary = await askJson(modelPath(name, model.version, "summary"));
  place.append(h("h1", {}, name, " ", h("span", { class: "version" }, t("version {n}", { n: model.version }))));
  if (versions.length > 1)
    place.append(field(t("Version"), choose(versions.map(v => [v, v]), model.version,
      v => { location.hash = address({ name, version: v }); })));
  if (summary.labels.length) place.append(h("p", { class: "hint" }, t("{n} classes have names", { n: number(summary.labels.length) })));
  place.append(h("p", {}, graphLink(model, t("Its graph"))), form(model, about, summary.labels, summary.sample), takesAndGives(about));
  const others = versions.filter(v => v !== model.version);
  if (others.length) place.append(compared(model, summary, others));
  place.append(made(summary));
  return drift(place, model);
}
