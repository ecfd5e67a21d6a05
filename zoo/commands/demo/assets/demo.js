"use strict";
// The page of `zoo demo`. The state of its controls stands in the address behind #, and is what pictures are asked for by.
(async () => {
  const $ = (id) => document.getElementById(id);
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // --- the state ---

  const START = { chosen: 0, seed: 0, label: null, codes: {}, by: "sefa", directions: [], psi: 1, mix_from: null, mix_seed: 1 };
  const fresh = () => structuredClone(START);
  const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "list" : typeof value);
  const remembered = () => {
    const found = fresh();
    try {
      for (const [key, value] of Object.entries(JSON.parse(decodeURIComponent(location.hash.slice(1)))))
        if (kind(value) === kind(START[key]) || (START[key] === null && kind(value) === "number")) found[key] = value;
    } catch {
      // no state of ours
    }
    return found;
  };
  let state = remembered();
  addEventListener("hashchange", () => location.reload()); // another address of this page; our own replaceState is silent
  let model = null;

  const differs = (key) => JSON.stringify(state[key]) !== JSON.stringify(START[key]);
  const asked = (keys) => Object.fromEntries(keys.filter(differs).map((key) => [key, state[key]]));
  const BASE = ["seed", "label", "codes", "psi", "mix_from"];
  const mixing = () => (state.mix_from === null ? {} : { mix_seed: state.mix_seed });
  const VIEWS = {
    grid: () => ({ show: "grid", ...asked(BASE), ...mixing() }),
    large: () => ({
      show: state.chosen, ...asked(BASE), ...mixing(),
      ...(state.directions.some(Boolean) ? { by: state.by, directions: state.directions } : {}),
    }),
    second: () => ({ show: "second", ...asked(["psi"]), mix_seed: state.mix_seed }),
  };

  // --- pictures: each view asks for one at a time, and then for the newest state ---

  const shown = {}; // by view: what is asked for, whether it runs, its address, its command line
  const trouble = (text) => { $("trouble").textContent = text; $("trouble").hidden = !text; };
  const troubles = () => trouble(Object.values(shown).map((own) => own.trouble).find(Boolean) ?? "");
  const ask = async (address) => {
    let answer;
    try {
      answer = await fetch(address);
    } catch {
      throw new Error("The server does not answer: is `zoo demo` still running?");
    }
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer;
  };
  const refresh = async (view, place) => {
    const own = (shown[view] ??= { wanted: null, have: null, busy: false });
    own.wanted = JSON.stringify(VIEWS[view]());
    if (own.busy) return;
    own.busy = true;
    while (own.wanted !== own.have) {
      const now = own.wanted;
      $(view)?.classList.add("stale");
      try {
        const answer = await ask(`image?state=${encodeURIComponent(now)}`);
        const address = URL.createObjectURL(await answer.blob());
        if (own.address) URL.revokeObjectURL(own.address);
        Object.assign(own, { address, command: decodeURIComponent(answer.headers.get("X-Command") || "") });
        own.trouble = "";
        place(address);
      } catch (error) {
        own.trouble = error.message;
      }
      troubles();
      own.have = now;
    }
    $(view)?.classList.remove("stale");
    own.busy = false;
    if (view === "large") describe();
  };
  const tiles = () => [...$("grid").children];
  const side = () => Math.round(Math.sqrt(model.samples));
  const placeGrid = (address) => {
    for (const tile of tiles()) tile.style.backgroundImage = `url(${address})`;
  };
  const placeLarge = (address) => { $("large").src = address; };
  const placeSecond = (address) => { $("second").src = address; };
  let timer = 0;
  const draw = () => {
    history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(asked(Object.keys(START))))}`);
    clearTimeout(timer);
    timer = setTimeout(() => {
      refresh("large", placeLarge);
      refresh("grid", placeGrid);
      if ($("second")) refresh("second", placeSecond);
    }, 40);
  };

  const moved = () => state.directions.filter(Boolean).length;
  const describe = () => {
    const k = moved();
    const way = k ? `, moved along ${k} direction${k > 1 ? "s" : ""}` : "";
    $("caption").textContent = `Sample ${state.chosen + 1} of seed ${state.seed}${way}`;
    const command = shown.large?.command ?? "";
    $("command").textContent = command
      ? `${command}   # samples/${String(state.chosen).padStart(6, "0")}.png`
      : "No command line draws this picture; this page's address does, and the PNG says how it was made.";
    $("copy").hidden = !command;
  };

  // --- controls ---

  const controls = []; // functions that bring a control up to date
  const changed = () => { for (const update of controls) update(); draw(); };
  const card = (title, ...children) => {
    const made = element("div", { className: "card" }, element("h2", { textContent: title }), ...children);
    $("controls").append(made);
    return made;
  };

  // A slider, and its value, which resets it; `get` is null where nothing is set, and then it stands at `rest`.
  const slider = ({ id, name, min, max, step, rest, get, set, text }) => {
    const input = element("input", { type: "range", id, min, max, step });
    const value = element("button", { onclick: () => { set(null); changed(); } });
    const row = element("div", { className: "row" }, element("label", { htmlFor: id, textContent: name }), input, value);
    row.update = () => {
      const now = get();
      input.value = now ?? rest;
      value.textContent = text(now);
      value.disabled = now === null;
      value.title = now === null ? "" : `Reset ${name}`;
      input.setAttribute("aria-valuetext", value.textContent);
      row.classList.toggle("set", now !== null);
      row.classList.toggle("drawn", value.textContent === "drawn");
    };
    input.addEventListener("input", () => { set(+input.value); changed(); });
    controls.push(row.update);
    return row;
  };

  const seed = ({ id, name, key }) => {
    const input = element("input", { type: "number", id, min: 0, max: model.largest.seed, step: 1, inputMode: "numeric" });
    const set = (value) => {
      state[key] = Math.min(model.largest.seed, Math.max(0, Math.trunc(value) || 0));
      changed();
    };
    const button = (text, title, value) => {
      const made = element("button", { textContent: text, title, onclick: () => set(value()) });
      made.setAttribute("aria-label", title);
      return made;
    };
    input.addEventListener("change", () => set(+input.value));
    controls.push(() => { input.value = state[key]; });
    return element(
      "div", { className: "seed" }, element("label", { htmlFor: id, textContent: name }), input,
      button("−", "Previous seed", () => state[key] - 1),
      button("+", "Next seed", () => state[key] + 1),
      button("Random", "Random seed", () => Math.floor(Math.random() * 1e6)),
    );
  };

  const chips = (pairs, get, set) => {
    const made = element("div", { className: "chips" });
    for (const [value, text] of pairs) {
      const button = element("button", { textContent: text, onclick: () => { set(value); changed(); } });
      controls.push(() => button.setAttribute("aria-pressed", String(get() === value)));
      made.append(button);
    }
    return made;
  };

  const number = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(1);

  const sampleCard = () => {
    const made = card("Samples", seed({ id: "seed", name: "Seed", key: "seed" }));
    if (model.layers.length)
      made.append(slider({
        id: "psi", name: "Truncation ψ", min: 0, max: 1, step: 0.05, rest: 1,
        get: () => (state.psi === 1 ? null : state.psi), set: (value) => { state.psi = value ?? 1; },
        text: (value) => (value === null ? "none" : value.toFixed(2)),
      }));
    if (model.labels.length)
      made.append(chips([[null, "drawn"], ...model.labels.map((name, k) => [k, name])], () => state.label, (k) => { state.label = k; }));
  };

  const codeCard = () => {
    if (!model.codes.length) return;
    const set = (name) => (value) => {
      if (value === null) delete state.codes[name];
      else state.codes[name] = value;
    };
    const rows = model.codes.map(({ name, categories }) => slider({
      id: name, name: `${name}, ${categories ? "category" : "value"}`,
      min: categories ? 0 : -model.largest.code, max: categories ? categories - 1 : model.largest.code, step: categories ? 1 : 0.1,
      rest: 0, get: () => state.codes[name] ?? null, set: set(name),
      text: (value) => (value === null ? "drawn" : categories ? `${value}` : number(value)),
    }));
    const trained = model.codes.some((code) => !code.categories) ? " Values were from −1 to 1 while training." : "";
    card("Codes", ...rows, element("p", { className: "help", textContent: `Of all samples.${trained}` }));
  };

  const styleCard = () => {
    if (!model.layers.length) return;
    const none = model.layers.length;
    const from = slider({
      id: "mix_from", name: "From layer", min: 0, max: none, step: 1, rest: none,
      get: () => state.mix_from, set: (value) => { state.mix_from = value === none ? null : value; },
      text: (value) => (value === null ? "none" : `${value + 1} (${model.layers[value]}²)`),
    });
    const picture = element("img", { id: "second", alt: "the second source", className: model.side < 64 ? "pixels" : "" });
    const text = `From this layer on, of ${none}, the styles are those of a second source: fine ones alone at the right, all at the left.`;
    card(
      "Style mixing", from, seed({ id: "mix_seed", name: "Second seed", key: "mix_seed" }),
      element("div", { className: "second" }, picture, element("span", { textContent: text })),
    );
  };

  const directionCard = () => {
    const rows = element("div"), help = element("p", { className: "help" });
    const ways = chips(Object.entries(model.ways), () => state.by, (by) => { state.by = by; state.directions = []; find(by); });
    card(`Directions in ${model.directions.space}`, ways, rows, help);
    const fill = ({ names, refused }) => {
      for (const row of rows.children) controls.splice(controls.indexOf(row.update), 1);
      rows.replaceChildren(...names.map((name, i) => {
        const row = slider({
          id: `direction-${i}`, name: /^\d+$/.test(name) ? `Direction ${name}` : name,
          min: -model.largest.reach, max: model.largest.reach, step: 0.1, rest: 0,
          get: () => state.directions[i] || null,
          set: (value) => { state.directions = names.map((_, j) => (j === i ? value ?? 0 : state.directions[j] ?? 0)); },
          text: (value) => (value === null ? "0" : `${number(value)} σ`),
        });
        return row;
      }));
      help.textContent = refused ?? "Of the chosen sample, in standard deviations of samples.";
    };
    const find = async (by) => {
      help.textContent = "Looking for them…";
      rows.inert = true;
      try {
        const found = (await (await ask(`state?by=${by}`)).json()).directions;
        if (state.by === by) fill(found);
      } catch (error) {
        help.textContent = error.message;
      }
      rows.inert = false;
      for (const update of controls) update();
    };
    fill(model.directions);
    return find;
  };

  // --- beginning ---

  const known = async () => (await ask(`state?by=${encodeURIComponent(state.by)}`)).json();
  try {
    model = await known().catch(() => {
      Object.assign(state, { by: START.by, directions: [] }); // no way of finding them, by the address
      return known();
    });
  } catch (error) {
    history.replaceState(null, "", "#");
    return trouble(error.message);
  }
  document.title = `${model.name} — zoo demo`;
  $("name").textContent = model.name;
  $("about").textContent = model.about;
  if (!(state.chosen < model.samples)) state.chosen = 0; // the address may be another model's
  if (!model.labels.length) state.label = null;
  if (!model.layers.length) Object.assign(state, { psi: 1, mix_from: null });
  for (const name of Object.keys(state.codes)) if (!model.codes.some((code) => code.name === name)) delete state.codes[name];
  state.directions.length = Math.min(state.directions.length, model.directions.names.length);
  const n = side();
  $("grid").style.gridTemplateColumns = `repeat(${n}, 1fr)`;
  for (const id of ["grid", "large"]) $(id).classList.toggle("pixels", model.side < 64);
  for (let i = 0; i < model.samples; i++) {
    const tile = element("button", { onclick: () => { state.chosen = i; changed(); } });
    tile.setAttribute("aria-label", `Sample ${i + 1}`);
    tile.style.backgroundSize = `${100 * n}% ${100 * n}%`;
    tile.style.backgroundPosition = `${(100 * (i % n)) / Math.max(1, n - 1)}% ${(100 * Math.floor(i / n)) / Math.max(1, n - 1)}%`;
    controls.push(() => tile.setAttribute("aria-pressed", String(state.chosen === i)));
    $("grid").append(tile);
  }
  sampleCard();
  codeCard();
  styleCard();
  const find = directionCard();

  const save = (view, name) => () => {
    if (shown[view]?.address) element("a", { href: shown[view].address, download: name() }).click();
  };
  const stem = () => `${model.name.replace(/[^\w.-]+/g, "_")}-seed${state.seed}`;
  $("save").addEventListener("click", save("large", () => `${stem()}-${state.chosen}.png`));
  $("save-grid").addEventListener("click", save("grid", () => `${stem()}.png`));
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard?.writeText(shown.large.command);
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
  });
  $("reset").addEventListener("click", () => {
    const by = state.by;
    state = fresh();
    if (by !== state.by) find(state.by);
    changed();
  });
  changed();
})();
