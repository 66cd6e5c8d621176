"use strict";

const SHOWN = 5;
const [form, drop, file, answers, said, token, locked] =
  ["form", "drop", "file", "answers", "said", "token", "protected"].map((id) => document.getElementById(id));

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text; // never as HTML: names come from files
  return made;
}

function row(label, share) {
  const line = element("tr");
  const bar = element("meter");
  bar.value = share;
  const cell = element("td");
  cell.append(bar);
  line.append(element("td", label), cell, element("td", `${(100 * share).toFixed(1)} %`));
  return line;
}

function card(picture, found, classes) {
  const shown = element("article");
  const image = element("img");
  image.alt = "";
  image.src = URL.createObjectURL(picture);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => image.remove()); // such as TIFF, which no browser shows
  const text = element("div");
  const table = element("table");
  found.probabilities
    .map((share, index) => [share, classes[index]])
    .sort((one, other) => other[0] - one[0])
    .slice(0, SHOWN)
    .forEach(([share, label]) => table.append(row(label, share)));
  text.append(element("h2", found.class), table);
  shown.append(image, text);
  return shown;
}

function say(text, wrong = false) {
  said.textContent = text;
  said.className = wrong ? "wrong" : "";
}

async function classify(picture) {
  const body = new FormData();
  body.append("file", picture, picture.name || "picture");
  const headers = token.value ? { Authorization: `Bearer ${token.value}` } : {};
  const response = await fetch("/predict", { method: "POST", body, headers });
  const answer = await response.json();
  if (response.status === 401) locked.hidden = false;
  if (!response.ok) throw new Error(answer.error);
  answers.prepend(card(picture, answer.predictions[0], answer.classes));
}

async function classifyAll(pictures) {
  let failed = "";
  for (const [number, picture] of [...pictures].entries()) {
    say(`${number + 1} of ${pictures.length} …`);
    try {
      await classify(picture);
    } catch (error) {
      failed = `${picture.name || "picture"}: ${error.message}`;
    }
  }
  say(failed, Boolean(failed));
  file.value = "";
}

file.addEventListener("change", () => classifyAll(file.files));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (file.files.length) classifyAll(file.files);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) classifyAll(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) classifyAll(event.clipboardData.files);
});
