// SPDX-License-Identifier: Apache-2.0
// What the pages say, in the reader's language. The English text is the key; fr.json and its like hold the others.
// Elements of the HTML that have `data-t` are translated in place.
const LANGUAGES = { en: "English", fr: "Français", it: "Italiano", pt: "Português", ru: "Русский", ja: "日本語" };
const STORED = "sardonyx-language";
let words = {};

// Braces are filled in: t("{n} ms", { n: 3 }).
export const t = (text, values = {}) => (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

function preferred() {
  const wanted = [localStorage.getItem(STORED), ...navigator.languages].map(code => code?.slice(0, 2));
  return wanted.find(code => code in LANGUAGES) ?? "en";
}

async function speak(code) {
  words = code === "en" ? {} : await (await fetch(new URL(`${code}.json`, import.meta.url))).json();
  document.documentElement.lang = code;
  for (const element of document.querySelectorAll("[data-t]")) {
    element.dataset.english ??= element.textContent;
    element.textContent = t(element.dataset.english);
  }
  document.title = `${t(document.documentElement.dataset.title)} · Sardonyx`;
}

// Fills the header's two lists, language and colours; `changed` draws the page anew.
export async function begin(changed) {
  const language = document.getElementById("language"), colours = document.getElementById("colours");
  document.documentElement.dataset.title ??= document.title;
  language.append(...Object.entries(LANGUAGES).map(([code, name]) => new Option(name, code)));
  for (const option of language.options) option.lang = option.value;
  const code = preferred();
  language.value = code;
  await speak(code);
  language.addEventListener("change", async () => {
    localStorage.setItem(STORED, language.value);
    await speak(language.value);
    changed();
  });
  colours.value = localStorage.getItem("sardonyx-colours") ?? "";
  document.documentElement.dataset.colours = colours.value;
  colours.addEventListener("change", () => {
    localStorage.setItem("sardonyx-colours", colours.value);
    document.documentElement.dataset.colours = colours.value;
  });
}
