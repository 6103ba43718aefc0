// SPDX-License-Identifier: Apache-2.0
// How to call this server: what /openapi.json tells, path by path, with an example to try.
import { askJson, place, send } from "./api.js";
import { button, field, h, problem, seconds } from "./dom.js";
import { begin, t } from "./words.js";

const main = document.getElementById("main"), MOST_SHOWN = 20000, MOST_ELEMENTS = 64;

// A tensor of the Open Inference Protocol: its shape is that of its data, as nested lists.
function tensorOf(schema, cut) {
  const { shape, data, ...others } = schema.properties;
  const value = exampleOf((data.anyOf ?? [data]).at(-1), cut), lengths = [];
  for (let level = value; Array.isArray(level); level = level[0]) lengths.push(level.length);
  return { ...exampleOf({ ...schema, properties: others, required: schema.required.filter(key => key in others) }, cut),
    shape: shape.enum?.[0] ?? lengths, data: value };
}

// Something that a schema accepts; long lists are cut, and said to be.
function exampleOf(schema, cut) {
  if (!schema || typeof schema !== "object") return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const other = schema.anyOf ?? schema.oneOf;
  if (other) return exampleOf(other[0], cut);
  if (schema.properties?.shape && schema.properties.data) return tensorOf(schema, cut);
  if (schema.type === "object") {
    const wanted = schema.required ?? Object.keys(schema.properties ?? {});
    return Object.fromEntries(wanted.map(key => [key, exampleOf(schema.properties?.[key], cut)]));
  }
  if (schema.type === "array") {
    const several = schema.items?.anyOf, least = schema.minItems ?? 1; // a list of an element of each kind
    if (several && least === several.length) return several.map(one => exampleOf(one, cut));
    if (least > MOST_ELEMENTS) cut.is = true;
    return Array.from({ length: Math.min(least, MOST_ELEMENTS) }, () => exampleOf(schema.items, cut));
  }
  if (schema.type === "string") return "";
  if (schema.type === "boolean") return false;
  if (schema.type === "integer") return Math.max(0, schema.minimum ?? 0);
  return schema.type === "number" ? 0 : null;
}

const pretty = value => JSON.stringify(value, null, 1).replace(/\[\s+((?:[-\d.,\s]|null)+?)\s+\]/g, (_, list) => `[${list.replace(/\s+/g, " ")}]`);

const curl = (method, path, body) => [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}'${place(path.slice(1))}'`,
  sessionStorage.getItem("sardonyx-key") && "-H 'Authorization: Bearer KEY'",
  body !== null && "-H 'Content-Type: application/json'", body !== null && `-d '${body.replaceAll("'", "'\\''")}'`].filter(Boolean).join(" \\\n  ");

function code(words, text) {
  return h("details", {}, h("summary", {}, words), h("pre", { tabindex: 0, role: "region", "aria-label": words }, h("code", {}, text)));
}

// What a path and method take and give, and a form to call them.
function operation(path, method, about) {
  const cut = { is: false }, schema = about.requestBody?.content?.["application/json"]?.schema;
  const gives = about.responses?.["200"]?.content?.["application/json"]?.schema;
  const body = schema ? h("textarea", { rows: 8, spellcheck: "false" }) : null;
  if (body) body.value = pretty(exampleOf(schema, cut) ?? {});
  const out = h("div", { "aria-live": "polite" });
  const command = h("code", {}, "");
  const show = () => { command.textContent = curl(method, path, body?.value ?? null); };
  body?.addEventListener("input", show);
  show();
  const run = async () => {
    try {
      const start = performance.now();
      const response = await send(path.slice(1), { method: method.toUpperCase(), body: body?.value,
        headers: body ? { "Content-Type": "application/json" } : {} });
      const text = await response.text(), ms = performance.now() - start;
      let shown = text;
      try {
        shown = pretty(JSON.parse(text));
      } catch {
        // it is no JSON: shown as it came
      }
      out.replaceChildren(h("p", {}, t("Status {status} in {time}", { status: response.status, time: seconds(ms / 1000) })),
        h("pre", { tabindex: 0, role: "region", "aria-label": t("Answer") }, h("code", {}, shown.slice(0, MOST_SHOWN))));
    } catch (error) {
      out.replaceChildren(problem(error));
    }
  };
  return h("div", {}, about.description && h("p", {}, about.description),
    body && field(t("Body"), body), cut.is && h("p", { class: "problem" }, t("The lists of the example are cut: fill them before you send it.")),
    h("p", {}, button(t("Send"), run, { class: "main" })), out,
    h("details", {}, h("summary", {}, "curl"), h("pre", { tabindex: 0, role: "region", "aria-label": "curl" }, command)),
    schema && code(t("Schema of the request"), pretty(schema)), gives && code(t("Schema of the answer"), pretty(gives)));
}

// Its parts are made when it is opened: there may be thousands.
function item(path, method, about) {
  const details = h("details", {
    class: "operation", toggle: () => details.childElementCount < 2 && details.append(operation(path, method, about)),
  }, h("summary", {}, h("span", { class: "method" }, method.toUpperCase()), " ", h("code", {}, path), " ", h("span", { class: "hint" }, about.summary)));
  return details;
}

const modelOf = path => decodeURIComponent(/\/(?:models|service)\/([^/:]+)[/:]/.exec(`${path}/`)?.[1] ?? "").replace("stats", "");

async function show() {
  main.replaceChildren(h("h1", {}, t("How to call")));
  try {
    const description = await askJson("openapi.json");
    const all = Object.entries(description.paths).flatMap(([path, methods]) => Object.entries(methods)
      .filter(([method]) => method === "get" || method === "post").map(([method, about]) => ({ path, method, about })));
    const list = h("div"), words = h("input", { type: "search", input: () => draw() }), count = h("p", { class: "hint", role: "status" });
    const draw = () => {
      const found = all.filter(({ path, about }) => `${path} ${about.summary}`.toLowerCase().includes(words.value.toLowerCase()));
      count.textContent = t("{n} of {all} paths", { n: found.length, all: all.length });
      const groups = Map.groupBy(found, ({ path }) => modelOf(path));
      list.replaceChildren(...[...groups].map(([model, paths]) => h("section", {}, h("details", { open: !model || words.value !== "" || groups.size < 3 },
        h("summary", {}, h("h2", {}, model || t("The server"))), paths.map(({ path, method, about }) => item(path, method, about))))));
    };
    draw();
    main.append(h("p", {}, t("The whole description, for programs:"), " ", h("a", { href: place("openapi.json").href }, "/openapi.json")),
      field(t("Search"), words), count, list);
  } catch (error) {
    main.append(problem(error));
  }
}

await begin(show);
show();
