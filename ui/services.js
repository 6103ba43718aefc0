// SPDX-License-Identifier: Apache-2.0
// Services of a workspace: what state they are in, their revisions, keys and logs; starting, stopping, scaling.
import { askJson } from "./api.js";
import { button, field, h, problem, table, when } from "./dom.js";
import { PERIOD_MS } from "./metrics.js";
import { t } from "./words.js";

const STATES = () => ({ Transitioning: t("starting"), Healthy: t("healthy"), Unhealthy: t("unhealthy"), Failed: t("failed"),
  Stopped: t("stopped"), Written: t("written") });
const part = encodeURIComponent, path = (name, verb = "") => `api/services/${part(name)}${verb && `/${verb}`}`;
const state = service => h("span", { class: `level ${{ Failed: "error", Unhealthy: "error", Transitioning: "warning" }[service.state] ?? ""}` }, STATES()[service.state] ?? service.state);
const post = (name, verb, body) => askJson(path(name, verb), { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

export const serviceRows = services => (services.length
  ? table(t("Services"), [t("Name"), t("State"), t("Image"), t("Revision"), t("Address")],
    services.map(s => [h("a", { href: `#/services/${part(s.name)}` }, s.name), state(s), s.image ?? "", String(s.revision ?? ""), s.scoring_uri ?? ""]))
  : h("p", {}, t("No service is deployed.")));

// A new key is shown this once: neither the page nor its address keeps it.
function showSecret(title, secret) {
  const copied = h("span", { role: "status" });
  const dialog = h("dialog", { "aria-labelledby": "secret-title" }, h("h2", { id: "secret-title" }, title),
    h("p", { class: "secret" }, secret), h("p", {}, t("It is shown this once. Keep it where others cannot read it.")),
    h("p", {}, button(t("Copy"), async () => {
      await navigator.clipboard.writeText(secret);
      copied.textContent = t("copied");
    }), " ", button(t("Close"), () => dialog.close()), " ", copied));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function sure(question, act) {
  const dialog = h("dialog", { "aria-labelledby": "sure-title" }, h("form", { method: "dialog" }, h("h2", { id: "sure-title" }, question),
    h("p", {}, h("button", { value: "yes", class: "main" }, t("Yes")), " ", h("button", { value: "" }, t("Cancel")))));
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue === "yes") act();
  });
  document.body.append(dialog);
  dialog.showModal();
}

// What can be done now: [words, question or null, verb, body].
function actions(service) {
  const list = [];
  if (service.running === false) list.push([t("Start"), null, "start", {}]);
  else list.push([t("Stop"), t("Stop the service {name}?", { name: service.name }), "stop", {}]);
  if (service.previous) list.push([t("Roll back to revision {n}", { n: service.previous }), t("Roll back to revision {n}", { n: service.previous }), "rollback", {}]);
  if (service.trial) {
    list.push([t("Put revision {n} in force", { n: service.trial }), null, "traffic", { percent: 100 }]);
    list.push([t("End the trial of revision {n}", { n: service.trial }), null, "traffic", { percent: 0 }]);
  }
  return list;
}

function keys(service, said) {
  if (service.auth !== "key" && service.auth !== "token") return null;
  const renew = which => sure(t("Make a new key? The old one is refused at once."), async () => {
    try {
      const made = await post(service.name, "keys", { regenerate: which });
      showSecret(which === "primary" ? t("The new primary key") : t("The new secondary key"), made[which]);
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  });
  const token = async () => {
    try {
      showSecret(t("A token for an hour"), (await post(service.name, "token", { minutes: 60 })).token);
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  };
  return h("section", {}, h("h2", {}, t("Keys")), h("p", { class: "hint" }, t("Clients send 'Authorization: Bearer KEY'.")), h("div", { class: "filter" },
    service.auth === "key" ? [button(t("New primary key"), () => renew("primary")), button(t("New secondary key"), () => renew("secondary"))]
      : button(t("New token"), token)));
}

function about(service) {
  const facts = [[t("State"), state(service)], [t("Image"), service.image], [t("Revision"), service.revision], [t("Servers"), service.replicas],
    [t("Where"), service.target], [t("Address"), service.scoring_uri], [t("On trial"), service.trial && `${service.trial} (${service.percent} %)`],
    [t("Trouble"), service.trouble ?? service.error?.message]].filter(([, value]) => value !== undefined && value !== null && value !== "");
  const page = service.state === "Healthy" && service.scoring_uri ? new URL("/ui/", service.scoring_uri).href : null;
  return h("section", {}, table(t("What it is"), [t("Name"), t("Value")], facts.map(([name, value]) => [name, typeof value === "number" ? String(value) : value])),
    page && h("p", {}, h("a", { href: page }, t("Try it on its own page"))));
}

function revisions(service) {
  return h("section", {}, h("h2", {}, t("Revisions")), table(t("Revisions, the newest first"), [t("Revision"), t("Image"), t("Made")],
    [...service.revisions ?? []].sort((a, b) => b.revision - a.revision).map(r => [String(r.revision), r.image, when(r.created)])));
}

export async function showService(place, name) {
  const top = h("div", { "aria-live": "polite" }), said = h("div"), lines = h("pre", { tabindex: 0, role: "region", "aria-label": t("Log") });
  const words = h("input", { type: "search", input: () => writeLog() });
  let log = [], seen = "", over = false, timer = 0;
  const writeLog = () => { lines.textContent = log.filter(line => line.toLowerCase().includes(words.value.toLowerCase())).join("\n"); };
  const act = async (verb, body) => {
    try {
      said.replaceChildren();
      await post(name, verb, body);
      await look();
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  };
  async function look() {
    const [service, newest] = await Promise.all([askJson(path(name)), askJson(path(name, "logs?count=500"))]);
    if (newest.length !== log.length || newest.at(-1) !== log.at(-1)) {
      log = newest;
      writeLog();
    }
    if (seen === JSON.stringify(service)) return;
    seen = JSON.stringify(service);
    top.replaceChildren(about(service), h("div", { class: "filter" }, actions(service).map(([title, question, verb, body]) =>
      button(title, () => (question ? sure(question, () => act(verb, body)) : act(verb, body))))), keys(service, said) ?? "", revisions(service));
  }
  const turn = async () => {
    try {
      if (document.visibilityState === "visible") await look();
    } catch (error) {
      if (!over) said.replaceChildren(problem(error));
    }
    if (!over) timer = setTimeout(turn, PERIOD_MS);
  };
  place.append(h("h1", {}, name), said, top, h("section", {}, h("h2", {}, t("Log")), field(t("Search"), words), lines));
  await look();
  timer = setTimeout(turn, PERIOD_MS);
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
