// SPDX-License-Identifier: Apache-2.0
// A workspace, where the server is one (`sardonyx workspace serve`): models and their versions, images, what was done.
import { ask, askJson } from "./api.js";
import { flatChanges } from "./changes.js";
import { button, choose, download, field, h, number, problem, table, when } from "./dom.js";
import { serviceRows } from "./services.js";
import { t } from "./words.js";

const part = encodeURIComponent;

const size = bytes => (bytes < 1e3 ? t("{n} bytes", { n: bytes }) : bytes < 1e6 ? t("{n} kB", { n: number(bytes / 1e3, 3) }) : t("{n} MB", { n: number(bytes / 1e6, 3) }));

const pairs = words => Object.entries(words ?? {}).map(([key, value]) => (value ? `${key}=${value}` : key)).join(", ");

export async function showWorkspace(place) {
  const [[facts], models, images, services, operations] = await Promise.all(
    ["workspaces", "models", "images", "services", "operations?count=20"].map(path => askJson(`api/${path}`)));
  const link = model => h("a", { href: `#/workspace/${part(model.name)}` }, model.name);

  place.append(h("h1", {}, t("Workspace"), " ", h("span", { class: "version" }, facts.name)),
    h("section", {}, h("h2", {}, t("Services")), serviceRows(services)),
    h("section", {}, h("h2", {}, t("Models")),
      table(t("The newest version of each"), [t("Name"), t("Version"), t("Framework"), t("Size"), t("Registered"), t("Tags")],
        models.map(m => [link(m), String(m.version), m.framework ?? "", size(m.size), when(m.created), pairs(m.tags)]))),
    h("section", {}, h("h2", {}, t("Images")),
      table(t("The newest version of each"), [t("Name"), t("Version"), t("Size"), t("Made"), t("Made of")],
        images.map(m => [m.name, String(m.version), size(m.size), when(m.created), (m.uses ?? []).join(", ")]))),
    h("section", {}, h("h2", {}, t("What was done")),
      table(t("The last first"), [t("Time"), t("What"), t("Whose")],
        [...operations].sort((a, b) => b.id - a.id).map(o => [when(o.time), o.operation, `${o.kind}/${o.asset}`]))));
}

async function fetchFile(model, file) {
  const query = model.files.length > 1 ? `?file=${part(file.path)}` : "";
  const response = await ask(`api/models/${part(model.name)}/versions/${model.version}/content${query}`);
  download(file.path.split("/").at(-1), await response.arrayBuffer());
}

function files(model) {
  const said = h("div");
  return h("section", {}, h("h2", {}, t("Files of version {n}", { n: model.version })), said,
    table(t("Files"), [t("Name"), t("Size"), "SHA-256", ""], model.files.map(file => [file.path, size(file.size), file.digest.replace("sha256:", ""),
      button(t("Download"), () => fetchFile(model, file).catch(error => said.replaceChildren(problem(error))))])));
}

export async function showAsset(place, name) {
  const versions = await askJson(`api/models/${part(name)}/versions`), [newest] = versions;
  const changed = h("div", { "aria-live": "polite" });
  place.append(h("h1", {}, name, " ", h("span", { class: "version" }, t("version {n}", { n: newest.version }))),
    newest.description && h("p", {}, newest.description),
    h("section", {}, h("h2", {}, t("Versions")),
      table(t("Versions, the newest first"), [t("Version"), t("Registered"), t("Size"), t("Tags"), t("Properties"), t("Used by")],
        versions.map(v => [String(v.version), when(v.created), size(v.size), pairs(v.tags), pairs(v.properties), (v.used_by ?? []).join(", ")]))), files(newest));
  if (versions.length < 2) return;
  let [a, b] = [versions[1], newest];
  const told = ({ id, version, created, modified, uses, used_by: users, ...rest }) => rest; // not what every version has of its own
  const compare = () => changed.replaceChildren(flatChanges(told(a), told(b), a.version, b.version));
  const pick = (value, take) => choose(versions.map(v => [String(v.version), String(v.version)]), String(value), chosen => {
    take(versions.find(v => String(v.version) === chosen));
    compare();
  });
  compare();
  place.append(h("section", {}, h("h2", {}, t("What changed")),
    h("div", { class: "filter" }, field(t("From version"), pick(a.version, v => { a = v; })), field(t("to version"), pick(b.version, v => { b = v; }))), changed));
}
