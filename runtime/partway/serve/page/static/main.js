// The page: what is chosen, what runs, what is shown.
import { dial, meaning } from "./dial.js";
import * as keep from "./keep.js";
import { mask as painted } from "./mask.js";
import * as server from "./server.js";

const at = (id) => document.getElementById(id);
const SWEEP = [0.2, 0.4, 0.6, 0.8, 1];
const state = { about: null, source: null, result: null, from: null, size: null, running: null, rate: {} };

const say = (text) => { at("status").textContent = text; };
const complain = (problem) => { at("problem").textContent = problem ? problem.message ?? problem : ""; };
const model = () => state.about.models.find((one) => one.name === at("model").value) ?? state.about.models[0];
const seconds = (count) => (count < 10 ? `${count.toFixed(1)} s` : `${Math.round(count)} s`);

// -- settings

function settings() {
  const given = { strength: Number(at("strength").value), steps: Number(at("steps").value),
    guidance_scale: Number(at("guidance").value), dial: at("meant").value, model: at("model").value,
    negative_prompt: at("negative").value };
  for (const name of ["sampler", "schedule", "seed"]) if (at(name).value !== "") given[name] = at(name).value;
  return given;
}

// The size at which the picture is worked on: its own, or made smaller, in steps of 8 pixels.
function workSize() {
  if (!state.size) return null;
  const [width, height] = state.size, [across, down] = model().size;
  const most = at("area").value === "model" ? across * down : state.about.max_pixels;
  const scale = Math.min(1, Math.sqrt(most / (width * height)));
  if (scale === 1) return [width, height];
  return [width, height].map((side) => Math.max(8, Math.floor((side * scale) / 8) * 8));
}

let asked = 0;
async function tellPlan(strength) {
  const words = state.source || state.from ? meaning(strength) : "Without a picture this is text to image.";
  at("meaning").textContent = at("meant").value === "stability" ? "Here the number counts the other way." : words;
  at("strength").setAttribute("aria-valuetext", `${strength.toFixed(2)}. ${words}`);
  if (!state.about) return;
  const now = ++asked, size = workSize() ?? model().size;
  await new Promise((done) => setTimeout(done, 60));
  if (now !== asked) return;
  try {
    const image = Boolean(state.source || state.from);
    const plan = await server.post("/partway/plan", { ...settings(), image, width: size[0], height: size[1] });
    if (now !== asked) return;
    const rate = state.rate[at("model").value];
    const time = plan.seconds ?? (rate && rate * plan.network_calls * size[0] * size[1]);
    at("plan").textContent = plan.steps_run === 0 ? "Nothing runs: it comes back as it is."
      : `${plan.steps_run} of ${plan.steps} steps run · ${(100 * plan.noise_share).toFixed(0)} % noise at the start`
        + (time ? ` · about ${seconds(time)}` : "");
    complain("");
  } catch (problem) {
    at("plan").textContent = "";
    complain(problem);
  }
}

const turned = dial(at("face"), at("strength"), at("number"), (strength) => tellPlan(strength));

function restore(record) {
  const set = record.settings ?? {};
  if (set.strength !== undefined) turned.set(set.strength);
  const words = [record.prompt, ...(record.loras ?? []).map((one) => one.tag)].filter(Boolean).join(" ");
  const values = { prompt: words, negative: set.negative_prompt, steps: set.steps, meant: set.dial,
    guidance: set.guidance_scale, seed: set.seed, sampler: set.sampler, schedule: set.schedule, model: record.model?.name };
  for (const [name, value] of Object.entries(values)) {
    const field = at(name);
    if (value === undefined || value === null) continue;
    if (field.tagName === "SELECT" && ![...field.options].some((one) => one.value === String(value))) continue;
    field.value = value;
  }
  turned.show();
}

// -- pictures

const mask = painted(at("paint"), { brush: at("brush"), eraser: at("eraser"), undo: at("undo"), invert: at("invert"),
  all: at("all"), clear: at("clear"), cursor: at("cursor"), said: say });

function shown(image, data) {
  URL.revokeObjectURL(image.src);
  image.src = typeof data === "string" ? data : URL.createObjectURL(data);
  return image.decode().catch(() => { throw new Error("This file is no picture that the browser can show."); });
}

async function take(file, { from = null } = {}) {
  complain("");
  await shown(at("before"), file);
  Object.assign(state, { source: file, from, result: null, size: [at("before").naturalWidth, at("before").naturalHeight] });
  at("drop").hidden = true;
  at("stage").hidden = at("tools").hidden = false;
  at("after").hidden = at("split").hidden = at("download").hidden = at("onward").hidden = true;
  at("caption").textContent = `${state.size.join(" × ")} pixels`;
  mask.fit(...state.size);
  showMask(false);
  turned.show();
}

async function given(file) {
  if (!file) return;
  try {
    await take(file);
    const form = new FormData();
    form.append("image", file);
    const record = await server.post("/partway/record", form);
    if (record.settings) {
      restore(record);
      say("This picture was made by partway: its settings are back.");
    }
  } catch (problem) {
    complain(problem);
  }
}

function showMask(on) {
  at("masking").setAttribute("aria-pressed", on);
  at("paint").hidden = at("brushes").hidden = !on;
  at("masking").disabled = Boolean(state.from);
}

async function showResult(data, about) {
  await shown(at("after"), data);
  at("after").hidden = at("split").hidden = false;
  at("after").alt = `The result: ${at("prompt").value || "without words"}`;
  showMask(false);
  compare();
  at("caption").textContent = about.text;
  Object.assign(state, { result: { ...about, data } });
  at("download").href = at("after").src;
  at("download").hidden = false;
  at("onward").hidden = !about.goes_on;
}

function compare() {
  const share = Number(at("compare").value);
  at("after").style.clipPath = `inset(0 0 0 ${share}%)`;
  at("compare").setAttribute("aria-valuetext", `${share} % before, ${100 - share} % after`);
}

// -- runs

async function form(extra) {
  const sent = new FormData(), size = workSize();
  for (const [name, value] of Object.entries({ ...settings(), ...extra, prompt: at("prompt").value })) sent.append(name, value);
  if (state.from) sent.append("from", state.from);
  else if (state.source) {
    sent.append("image", state.source);
    if (size) { sent.append("width", size[0]); sent.append("height", size[1]); }
    const file = await mask.file();
    if (file) sent.append("mask", file);
  }
  return sent;
}

function busy(on) {
  at("run").disabled = at("sweep").disabled = on;
  at("stop").hidden = at("bar").hidden = !on;
  at("bar").value = 0;
}

async function once(extra, label = "") {
  let made = null;
  state.running = { id: null, leave: new AbortController() };
  for await (const told of server.run(await form(extra), state.running.leave.signal)) {
    if (told.type === "job") state.running.id = told.id;
    if (told.type === "job" || told.type === "place") say(told.place ? `${told.place} before you in the queue` : `${label}Starting…`);
    if (told.type === "step") {
      at("bar").value = told.index / told.total;
      const left = told.left ? `, about ${seconds(told.left)} left` : "";
      if (told.index === 1 || told.index % 5 === 0) say(`${label}Step ${told.index} of ${told.total}${left}`);
      if (!state.source) { at("before").src = told.preview; at("drop").hidden = true; at("stage").hidden = false; }
      else { at("after").src = told.preview; at("after").hidden = at("split").hidden = false; compare(); }
    }
    if (told.type === "made") made = told;
    if (told.type === "error") throw new server.Refused(told.error.message, told.error.code);
  }
  if (!made) throw new Error("The run ended without a picture.");
  state.rate[made.model] = made.network_calls ? made.seconds / made.network_calls / (made.width * made.height) : undefined;
  const data = await server.blob(made.url);
  const text = `strength ${made.strength.toFixed(2)}, seed ${made.seed}, ${made.steps_run} steps, ${seconds(made.seconds)}`;
  const entry = { data, text, record: { prompt: at("prompt").value, settings: { ...settings(), ...extra, seed: made.seed },
    model: { name: made.model } }, source: state.source };
  await keep.add(entry).catch(() => say("This browser keeps no history."));
  showHistory();
  return { ...made, ...entry };
}

async function guarded(act) {
  if (state.running) return;
  busy(true);
  say("Sending…");
  complain("");
  try {
    await act();
  } catch (problem) {
    if (problem.name !== "AbortError") complain(problem);
    if (problem.code === "gone") state.from = null; // the next run starts from the picture
    say("");
  } finally {
    state.running = null;
    busy(false);
    turned.show();
  }
}

const run = () => guarded(async () => {
  const made = await once({});
  if (!state.source && !state.from) await take(made.data);
  await showResult(made.data, made);
  say(`Done in ${seconds(made.seconds)}.`);
  see();
});

// Where the picture is out of sight, as it is on a phone whose button was just pressed, go there.
function see() {
  const { top, bottom } = at("stage").getBoundingClientRect();
  if (bottom < 80 || top > innerHeight - 80) at("stage").scrollIntoView({ block: "start" });
}

const sweep = () => guarded(async () => {
  at("strip").replaceChildren();
  at("strip-part").hidden = false;
  const seed = at("seed").value || Math.floor(Math.random() * 2 ** 31);
  state.stopped = false;
  const all = [], wanted = Number(at("strength").value);
  for (const strength of SWEEP) {
    if (state.stopped) break;
    const made = await once({ strength, seed }, `Strength ${strength}: `);
    at("strip").append(tile(made, `strength ${strength.toFixed(2)}`, () => {
      turned.set(strength);
      showResult(made.data, made);
    }));
    all.push(made);
  }
  all.sort((one, other) => Math.abs(one.strength - wanted) - Math.abs(other.strength - wanted));
  if (state.source && all.length) await showResult(all[0].data, all[0]); // the nearest to where the dial stands
  say("The strip is done: choose one.");
});

async function stop() {
  if (!state.running) return;
  state.stopped = true;
  say("Stopping: it keeps the best picture so far.");
  if (state.running.id) await server.post("/partway/stop", { id: state.running.id }).catch(() => {});
  else state.running.leave.abort();
}

// -- strip and history

function tile(entry, text, chosen) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = document.createElement("img"), words = document.createElement("span");
  button.type = "button";
  image.src = URL.createObjectURL(entry.data);
  image.alt = "";
  words.textContent = text;
  button.append(image, words);
  button.addEventListener("click", chosen);
  item.append(button);
  return item;
}

async function showHistory() {
  const entries = await keep.all().catch(() => []);
  for (const image of at("history").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  at("history-part").hidden = entries.length === 0;
  at("history").replaceChildren(...entries.map((entry) => tile(entry, entry.record.prompt || entry.text, async () => {
    if (entry.source) await take(entry.source);
    else await take(entry.data);
    restore(entry.record);
    await showResult(entry.data, { text: entry.text, goes_on: false });
    say("Its settings are back.");
    scrollTo({ top: 0 });
  })));
}

// -- what people do

at("file").addEventListener("change", () => given(at("file").files[0]));
at("other").addEventListener("click", () => at("file").click());
for (const place of ["drop", "stage"]) {
  at(place).addEventListener("dragleave", () => at(place).classList.remove("over"));
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  at(at("drop").hidden ? "stage" : "drop").classList.add("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  for (const place of ["drop", "stage"]) at(place).classList.remove("over");
  given(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) given(file);
});
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  if (event.key === "Escape") stop();
});
for (const button of document.querySelectorAll("[data-strength]")) {
  button.addEventListener("click", () => turned.set(Number(button.dataset.strength)));
}
for (const name of ["steps", "guidance", "sampler", "schedule", "meant", "area"]) at(name).addEventListener("change", turned.show);
at("model").addEventListener("change", () => { suit(); turned.show(); });
at("compare").addEventListener("input", compare);
at("names").addEventListener("change", () => {
  at("prompt").value = [at("prompt").value.trim(), at("names").value].filter(Boolean).join(" ");
  at("names").value = "";
});
at("masking").addEventListener("click", () => {
  const on = at("paint").hidden;
  showMask(on);
  if (on) { at("after").hidden = at("split").hidden = true; at("paint").focus(); }
  else if (state.result) at("after").hidden = at("split").hidden = false;
});
at("onward").addEventListener("click", async () => {
  const { data, name } = state.result;
  await take(data, { from: name });
  say("The next run goes on from the result, without a loss through pixels.");
});
at("form").addEventListener("submit", (event) => { event.preventDefault(); run(); });
at("stop").addEventListener("click", stop);
at("sweep").addEventListener("click", sweep);
at("forget").addEventListener("click", async () => { await keep.forget(); showHistory(); });

// -- the beginning

function options(field, names, first) {
  const made = Object.entries(names).map(([value, text]) => new Option(text, value));
  field.replaceChildren(...(first ? [new Option(first, "")] : []), ...made);
}

function suit() {
  const { defaults } = model();
  at("steps").value = defaults.steps;
  at("guidance").value = defaults.guidance_scale;
}

async function begin() {
  state.about = await server.get("/partway/about");
  options(at("model"), Object.fromEntries(state.about.models.map((one) => [one.name, one.name])));
  options(at("sampler"), state.about.samplers, "the model's own");
  options(at("schedule"), state.about.schedules, "the model's own");
  const named = [...state.about.loras.map((one) => [`<lora:${one}:0.8>`, `LoRA ${one}`]),
    ...state.about.embeddings.map((one) => [one, `embedding ${one}`])];
  options(at("names"), Object.fromEntries(named), "a LoRA or an embedding…");
  at("named").hidden = named.length === 0;
  const dials = { continuous: "partway's own", diffusers: "diffusers", a1111: "A1111, Forge", comfyui: "ComfyUI",
    invokeai: "InvokeAI", drawthings: "Draw Things", stability: "Stability: image strength", lcm: "diffusers, LCM" };
  options(at("meant"), Object.fromEntries(state.about.dials.map((one) => [one, dials[one] ?? one])));
  at("meant").value = "continuous";
  at("steps").max = state.about.max_steps;
  suit();
  turned.set(model().defaults.strength);
  document.body.dataset.ready = "yes";
}

showHistory();
begin().catch((problem) => complain(problem));
