// SPDX-License-Identifier: Apache-2.0
// Questions to the server that the page came from. Where it wants a key, the reader is asked for one; the key is kept
// in sessionStorage, until the tab is closed.
import { button, field, h } from "./dom.js";
import { t } from "./words.js";

const ROOT = new URL("../", import.meta.url);
const STORED = "sardonyx-key";
let asked = null; // the question that is open, so that many requests ask once

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function askForKey() {
  asked ??= new Promise(resolve => {
    const refused = sessionStorage.getItem(STORED);
    const input = h("input", { type: "password", autocomplete: "off", required: true });
    const dialog = h("dialog", { "aria-labelledby": "key-title" },
      h("form", { method: "dialog" },
        h("h2", { id: "key-title" }, t("This server asks for a key")),
        refused && h("p", { class: "problem", role: "alert" }, t("The key was refused.")),
        field(t("Key or token"), input),
        h("p", { class: "hint" }, t("It is kept until this tab is closed.")),
        h("p", {}, h("button", { value: "ok" }, t("Go on")), " ",
          button(t("Cancel"), () => dialog.close("")))));
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "ok") sessionStorage.setItem(STORED, input.value.trim());
      dialog.remove();
      asked = null;
      resolve(dialog.returnValue === "ok");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asked;
}

async function reason(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `${response.status} ${response.statusText}`;
  }
}

// Ids of this page's requests, which its log leaves out.
export const OWN = "page-";
export const newId = (prefix = OWN) => prefix + crypto.getRandomValues(new Uint32Array(3)).reduce((id, word) => id + word.toString(16).padStart(8, "0"), "");

export const place = path => new URL(path, ROOT);

// The response, whatever it is; only a missing key is seen to.
export async function send(path, options = {}) {
  for (;;) {
    const headers = new Headers(options.headers), key = sessionStorage.getItem(STORED);
    if (key) headers.set("Authorization", `Bearer ${key}`);
    if (!headers.has("x-request-id")) headers.set("x-request-id", newId());
    const response = await fetch(place(path), { ...options, headers, cache: "no-store", credentials: "omit" });
    if (response.status !== 401 || !await askForKey()) return response;
  }
}

// A response that is good, else Refused.
export async function ask(path, options) {
  const response = await send(path, options);
  if (!response.ok) throw new Refused(response.status, await reason(response));
  return response;
}

export const askJson = async (path, options) => (await ask(path, options)).json();

// What may fail: null.
export async function askMaybe(path) {
  try {
    return await askJson(path);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

// Whether there is such a route: "/v2/models/{model}/drift".
const routes = new Set(await (await fetch(new URL("routes.json", import.meta.url))).json());
export const has = route => routes.has(route);
for (const link of document.querySelectorAll("[data-route]")) link.hidden = !has(link.dataset.route);

const part = encodeURIComponent;
export const modelPath = (name, version, verb = "") =>
  `v2/models/${part(name)}${version ? `/versions/${part(version)}` : ""}${verb && `/${verb}`}`;

// [{name, version}], those of one name from the newest down.
export async function listModels() {
  return (await askJson("v2/models/stats")).model_stats.map(({ name, version }) => ({ name, version }));
}
