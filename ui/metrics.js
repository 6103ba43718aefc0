// SPDX-License-Identifier: Apache-2.0
// The server's own metrics (the text form of Prometheus), asked every two seconds while somebody looks, and what two
// scrapes say about the time between them.
import { ask } from "./api.js";

export const PERIOD_MS = 2000;
const KEPT = 150; // five minutes

// [{name, labels, value}]
export function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    samples.push({ name: found[1], labels, value: Number(found[3].replace("Inf", "Infinity")) });
  }
  return samples;
}

export const scrape = async () => parse(await (await ask("metrics")).text());

// Which models are loaded: those have a queue. Asking one that is not would load it.
export async function loadedModels() {
  return new Set((await scrape()).filter(s => s.name === "sardonyx_queue_length").map(s => keyOf(s.labels)));
}

export const keyOf = labels => (labels.version ? `${labels.model}:${labels.version}` : labels.model);

// Of each model: requests, refused or failed ones, the buckets of their time, how many wait.
function digest(samples) {
  const models = new Map(), server = {}, alerts = [];
  const of = labels => {
    const key = keyOf(labels);
    if (!models.has(key)) models.set(key, { requests: 0, failed: 0, buckets: new Map(), waiting: 0 });
    return models.get(key);
  };
  for (const { name, labels, value } of samples) {
    if (name === "sardonyx_requests_total" && labels.model) {
      of(labels).requests += value;
      if (!/^[23]/.test(labels.code)) of(labels).failed += value;
    } else if (name === "sardonyx_request_seconds_bucket" && labels.model) {
      const bound = Number(labels.le.replace("Inf", "Infinity"));
      of(labels).buckets.set(bound, (of(labels).buckets.get(bound) ?? 0) + value);
    } else if (name === "sardonyx_queue_length") {
      of(labels).waiting += value;
    } else if (name === "sardonyx_alert" && value) {
      alerts.push(`${labels.alert}: ${keyOf(labels)}`);
    } else if (!Object.keys(labels).length) {
      server[name] = value;
    }
  }
  return { at: Date.now(), models, server, alerts };
}

// The time that a share of the requests between two scrapes stayed below; null where there were none.
export function quantile(before, after, share) {
  const bounds = [...after.keys()].sort((a, b) => a - b);
  const counts = bounds.map(b => after.get(b) - (before?.get(b) ?? 0));
  const wanted = counts.at(-1) * share;
  if (!counts.length || counts.at(-1) <= 0) return null;
  const i = counts.findIndex(count => count >= wanted), low = i ? bounds[i - 1] : 0;
  if (bounds[i] === Infinity) return low;
  const below = i ? counts[i - 1] : 0;
  return low + (bounds[i] - low) * (wanted - below) / (counts[i] - below || 1);
}

function between(before, after) {
  const step = (after.at - before.at) / 1000, models = new Map();
  for (const [key, now] of after.models) {
    const then = before.models.get(key);
    models.set(key, {
      rate: Math.max(0, now.requests - (then?.requests ?? 0)) / step,
      failing: Math.max(0, now.failed - (then?.failed ?? 0)) / step,
      median: quantile(then?.buckets, now.buckets, 0.5),
      slow: quantile(then?.buckets, now.buckets, 0.99),
      waiting: now.waiting,
    });
  }
  return { at: after.at, models };
}

export const history = { now: null, steps: [] };

async function look() {
  const now = digest(await scrape());
  if (history.now) history.steps.push(between(history.now, now));
  if (history.steps.length > KEPT) history.steps.shift();
  history.now = now;
}

// Calls `changed` after each look, or `failed`; returns what ends it.
export function watch(changed, failed) {
  let timer = 0, over = false;
  const turn = async () => {
    try {
      if (document.visibilityState === "visible") await look();
      if (!over) changed(history);
    } catch (error) {
      if (!over) failed(error);
    }
    if (!over) timer = setTimeout(turn, PERIOD_MS);
  };
  turn();
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
