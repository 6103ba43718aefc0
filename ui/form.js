// SPDX-License-Identifier: Apache-2.0
// Trying a model: a form made from its inputs, and what comes of it.
import { button, choose, field, h, problem, seconds } from "./dom.js";
import { showResults } from "./results.js";
import { sourceOfFile, sourcesOf } from "./sources.js";
import { infer } from "./tensors.js";
import { t } from "./words.js";

const shapeWords = io => `[${(io.shape ?? []).map(d => (d < 0 ? "?" : d)).join(", ")}]`;

// One input: {io, current: its source}.
function input(io, optional, changed) {
  const sources = sourcesOf(io, optional), place = h("div"), it = { io, current: null };
  const use = code => {
    it.current = sources.find(s => s[0] === code)[2](changed);
    place.replaceChildren(it.current.element);
  };
  const select = choose(sources.map(([code, words]) => [code, words]), sources[0][0], use);
  it.element = h("fieldset", {
    dragover: event => {
      event.preventDefault();
      it.element.classList.add("over");
    },
    dragleave: () => it.element.classList.remove("over"),
    drop: event => {
      event.preventDefault();
      it.element.classList.remove("over");
      const file = event.dataTransfer.files[0], code = file && sourceOfFile(file);
      if (!sources.some(s => s[0] === code)) return;
      if (select.value !== code) use(select.value = code);
      it.current.file(file);
    },
  }, h("legend", {}, io.name, " ", h("span", { class: "hint" }, `${io.datatype} ${shapeWords(io)}`)),
  field(t("Value"), select), place);
  it.put = text => {
    use(select.value = "json");
    it.current.put(text);
  };
  use(sources[0][0]);
  return it;
}

// The values of the inputs in a body of /score: {"data": nested list, or an object}, or the object itself.
function valuesOf(sample, inputs) {
  const data = sample?.data ?? sample;
  return inputs.map(({ io }) => (data && typeof data === "object" && !Array.isArray(data) ? data[io.name] : inputs.length === 1 ? data : undefined));
}

export function form(model, about, labels, sample) {
  const out = h("div", { class: "results", "aria-live": "polite" });
  let running = false, again = false;

  async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      const tensors = [];
      let canvas = null;
      for (const { io, current } of inputs) {
        const value = await current.read();
        if (value) tensors.push({ name: io.name, datatype: io.datatype, ...value });
        canvas ??= value?.canvas ?? null;
      }
      const { outputs, ms, id } = await infer(model, about, tensors);
      out.replaceChildren(h("p", { class: "hint" }, t("Answered in {time}", { time: seconds(ms / 1000) }), " · ", h("a", { href: `#/logs/${id}` }, t("in the log"))), ...showResults(outputs, labels, canvas));
    } catch (error) {
      out.replaceChildren(problem(error));
    }
    running = false;
    if (again) {
      again = false;
      run();
    }
  }

  const fill = () => {
    valuesOf(sample, inputs).forEach((value, i) => value !== undefined && inputs[i].put(JSON.stringify(value)));
    run();
  };

  // What was drawn or chosen is computed at once where nothing else is needed.
  const changed = () => inputs.length === 1 && run();
  const inputs = [...about.inputs.map(io => [io, false]), ...(about.optional_inputs ?? []).map(io => [io, true])]
    .map(([io, optional]) => input(io, optional, changed));
  return h("section", {}, h("h2", {}, t("Try it")),
    h("form", { class: "try", submit: event => { event.preventDefault(); run(); } },
      inputs.map(it => it.element), h("p", {}, h("button", { class: "main" }, t("Run")), " ",
        sample !== undefined && button(t("The registered sample"), fill))), out);
}
