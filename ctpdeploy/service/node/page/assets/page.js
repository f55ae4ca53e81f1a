// The page of a node: it asks for the board once a second and shows what has changed. All that comes from there is set as
// text, never as HTML.
"use strict";

const EVERY = 1000; // ms
const STATES = { done: "good", delivered: "good", receiving: "work", complete: "work", computing: "work", waiting: "wait", failed: "bad" };
const SEVERITIES = { refusal: "bad", serious: "bad", caution: "wait", note: "" };
const shown = new Map(); // of each study: its element, and what it shows as JSON
let tag = "";

const find = (id) => document.getElementById(id);

function make(name, { cls = "", text = "", ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  if (cls) element.className = cls;
  if (text !== "") element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const badge = (text, kind) => make("span", { cls: `badge ${kind ?? ""}`, text });
const many = (count, noun, plural = `${noun}s`) => `${count} ${count === 1 ? noun : plural}`;
const size = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
const when = (seconds) => new Date(seconds * 1000).toLocaleString("sv-SE"); // 2026-11-28 09:30:00
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("sv-SE");

function lasting(seconds) {
  if (seconds === null) return "–";
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;
}

function facts(cls, pairs) {
  return make("dl", { cls }, ...pairs.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
}

function overview(board) {
  find("title").textContent = board.title;
  document.title = `${board.title} – ctpdeploy node`;
  const health = find("health");
  health.textContent = board.faults.length ? "not well" : "working";
  health.className = `badge ${board.faults.length ? "bad" : "good"}`;
  find("faults").hidden = board.faults.length === 0;
  find("faults").replaceChildren(...board.faults.map((text) => make("li", { text })));
  const { last_hour, last_day, to_result_s, to_delivery_s } = board.throughput;
  find("figures").replaceChildren(...[
    ["Studies, last hour", last_hour], ["Studies, last day", last_day],
    ["Last image to result", lasting(to_result_s)], ["Last image to archive", lasting(to_delivery_s)],
    ["Disk, free", size(board.disk.free)], ["Images and results", size(board.disk.used)],
  ].map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: String(value) }))));
  find("none").hidden = board.studies.length > 0;
  find("hidden").hidden = board.hidden === 0;
  find("hidden").textContent = `${many(board.hidden, "older study", "older studies")} not shown: ctpdeploy node status shows all.`;
  find("footer").textContent = `${board.intended_use} ctpdeploy ${board.version}, networks ${board.bundle}, ${board.backend}. Times to results are medians of the last 24 hours. Studies are named by a digest of their UID.`;
}

function marks(study) {
  const counts = {};
  const deliveries = {};
  for (const result of study.results) {
    for (const found of result.findings) counts[found.severity] = (counts[found.severity] ?? 0) + 1;
    for (const one of result.deliveries) deliveries[one.state] = (deliveries[one.state] ?? 0) + 1;
  }
  return make("span", { cls: "marks" },
    ...["refusal", "serious", "caution"].filter((severity) => counts[severity])
      .map((severity) => badge(`${counts[severity]} ${severity}`, SEVERITIES[severity])),
    ...Object.entries(deliveries).map(([state, count]) => badge(`${count} ${state}`, STATES[state])));
}

function summary(study) {
  const volumes = study.results.map((result) => result.volume_ml).filter((volume) => volume !== null);
  const lesion = volumes.length ? `, lesion ${volumes.map((volume) => `${volume.toFixed(1)} ml`).join(" and ")}` : "";
  return make("summary", {},
    make("span", { text: when(study.received) }),
    badge(study.state, STATES[study.state]),
    make("span", { cls: "faint", text: study.key }),
    make("span", { text: study.reason || (study.images ? `${many(study.images, "image")}${lesion}` : "") }),
    marks(study));
}

function delivery(one) {
  const version = one.version > 1 ? `, version ${one.version}` : "";
  const tries = one.tries ? `, ${one.tries === 1 ? "1 try" : `${one.tries} tries`}` : "";
  const next = one.state === "waiting" && one.tries ? `, next at ${clock(one.due)}` : "";
  return make("li", {}, badge(one.state, STATES[one.state]),
    `${one.archive}${version}${tries}, ${clock(one.changed)}${next}${one.reason ? `: ${one.reason}` : ""}`);
}

function section(title, items) {
  return items.length ? [make("h3", { text: title }), make("ul", {}, ...items)] : [];
}

function result(one, alone) {
  const place = `results/${encodeURIComponent(one.name)}`;
  const picture = `${place}/overview.png?made=${one.made}`;
  const alternative = `Overview of the result ${one.name}, version ${one.version}`;
  return [
    ...(alone ? [] : [make("h3", { text: `Result ${one.name}` })]),
    facts("facts", [
      ["version", `${one.version}, of ${many(one.images, "image")}, made ${when(one.made)}`],
      ["lesion", one.volume_ml === null ? "–" : `${one.volume_ml.toFixed(1)} ml`],
      ["notices", one.notices.join(" ")],
    ]),
    ...section("Findings", one.findings.map((found) =>
      make("li", {}, badge(found.severity, SEVERITIES[found.severity]), found.sentence))),
    make("a", { cls: "overview", href: picture, target: "_blank", rel: "noopener" },
      make("img", { src: picture, alt: alternative, loading: "lazy" })),
    make("a", { href: `${place}/report.json`, target: "_blank", rel: "noopener", text: "report.json" }),
    ...section("Deliveries", one.deliveries.map(delivery)),
  ];
}

function again(study) {
  const button = make("button", { type: "button", text: "Try again" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await fetch(`studies/${encodeURIComponent(study.key)}/retry`, { method: "POST" }).catch(() => null);
    if (!answer?.ok) button.textContent = "That did not work";
  });
  return button;
}

function inside(study, changeable) {
  const waits = study.state === "failed" || (study.state === "complete" && study.reason !== "")
    || study.results.some((one) => one.deliveries.some(({ state, tries }) => state === "failed" || (state === "waiting" && tries)));
  return make("div", { cls: "inside" },
    facts("facts", [
      ["complete by", study.completeness || "not yet"],
      ["images", study.images || "–"],
      ["last image", study.last ? when(study.last) : "–"],
      ["changed", when(study.changed)],
      ...(study.tries > 1 ? [["tries", study.tries]] : []),
      ...(study.reason ? [["reason", study.reason]] : []),
    ]),
    ...(changeable && waits ? [again(study)] : []),
    ...study.results.flatMap((one) => result(one, study.results.length === 1)));
}

function fill(element, study, changeable) {
  // pictures and sentences of what nobody has opened are not made
  element.replaceChildren(summary(study), ...(element.open ? [inside(study, changeable)] : []));
}

function list(board) {
  const place = find("studies");
  const keys = new Set(board.studies.map((study) => study.key));
  for (const [key, one] of shown) if (!keys.has(key)) { one.element.remove(); shown.delete(key); }
  board.studies.forEach((study, index) => {
    const content = JSON.stringify([study, board.changeable]);
    let one = shown.get(study.key);
    if (!one) {
      const element = make("details", { cls: "study" });
      one = { element, content: "", study };
      element.addEventListener("toggle", () => { if (element.open && element.children.length === 1) element.append(inside(one.study, one.changeable)); });
      shown.set(study.key, one);
    }
    if (one.content !== content) {
      const focused = one.element.querySelector("summary") === document.activeElement;
      Object.assign(one, { content, study, changeable: board.changeable });
      fill(one.element, study, board.changeable);
      if (focused) one.element.querySelector("summary").focus();
    }
    if (place.children[index] !== one.element) place.insertBefore(one.element, place.children[index] ?? null);
  });
}

async function look() {
  try {
    const answer = await fetch("board", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status === 401) { location.reload(); return; }
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(answer.status);
      const board = await answer.json();
      tag = answer.headers.get("ETag") ?? "";
      overview(board);
      list(board);
    }
  } catch {
    tag = "";
    find("health").textContent = "no answer";
    find("health").className = "badge bad";
  }
  setTimeout(look, EVERY);
}

look();
