// SPDX-License-Identifier: Apache-2.0
// What differs between the summaries of two versions.
import { h, table } from "./dom.js";
import { t } from "./words.js";

// Leaves by path: "inputs.x.shape" -> "[1,28,28]". Lists of things with names are taken by name.
function flatten(value, path, leaves) {
  if (Array.isArray(value) && value.length && value.every(v => v && typeof v === "object" && ("name" in v || "path" in v))) {
    for (const item of value) flatten(item, `${path}.${item.name ?? item.path}`, leaves);
  } else if (value && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) if (key !== "name" || !path) flatten(inner, path ? `${path}.${key}` : key, leaves);
  } else {
    leaves.set(path, typeof value === "string" ? value : JSON.stringify(value));
  }
}

const short = text => (text === undefined ? "–" : text.length > 200 ? `${text.slice(0, 200)}…` : text);

export const changes = (before, after) => flatChanges({ ...before.summary, labels: before.labels },
  { ...after.summary, labels: after.labels }, before.version, after.version);

// Two descriptions of any kind, and the numbers of their versions.
export function flatChanges(before, after, a, b) {
  const old = new Map(), now = new Map();
  flatten(before, "", old);
  flatten(after, "", now);
  const rows = [...new Set([...old.keys(), ...now.keys()])].sort()
    .filter(path => old.get(path) !== now.get(path))
    .map(path => [path, short(old.get(path)), short(now.get(path))]);
  if (!rows.length) return h("p", {}, t("Nothing that the description tells; weights may differ."));
  return table(t("Changes from version {a} to {b}", { a, b }),
    [t("What"), t("Version {n}", { n: a }), t("Version {n}", { n: b })], rows);
}
