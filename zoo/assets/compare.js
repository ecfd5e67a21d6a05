// Draws the curves of the page as SVG at the width they have, with a read-out under the pointer. No library: every
// chart is lines over one of two clocks, and the page must open from a file without a network.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const hidden = new Set();
  let clock = "images";
  let reach = "longest"; // run that the clocks go to; "shortest" shows what all runs have in common
  let lifted = null;

  const NS = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent, text) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.appendChild(element);
    return element;
  };

  // --- numbers ---
  const figures = (v) => (v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(2) : String(+v.toPrecision(4)));
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const brief = (n) => (n >= 1e6 ? +(n / 1e6).toPrecision(3) + "M" : n >= 1e3 ? +(n / 1e3).toPrecision(3) + "k" : String(n));
  const span = (s) => {
    const t = Math.round(s);
    return Math.floor(t / 3600) + ":" + String(Math.floor(t / 60) % 60).padStart(2, "0") + ":" + String(t % 60).padStart(2, "0");
  };
  const spanTick = (s) => (s === 0 ? "0" : s < 60 ? s + " s" : s < 3600 ? +(s / 60).toFixed(1) + " min" : +(s / 3600).toFixed(2) + " h");

  const STEPS = [1, 2, 2.5, 5, 10];
  const TIMES = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 432000, 864000];
  const step = (range, n) => {
    const rough = range / n, power = 10 ** Math.floor(Math.log10(rough));
    return STEPS.find((s) => s * power >= rough) * power;
  };
  const linearTicks = (low, high, n) => {
    const by = step(high - low || 1, n), ticks = [];
    for (let i = Math.ceil(low / by - 1e-9); i * by <= high + by * 1e-9; i++) ticks.push(+(i * by).toPrecision(12));
    return ticks;
  };
  const timeTicks = (high, n) => {
    const by = TIMES.find((t) => t >= high / n) || TIMES[TIMES.length - 1] * Math.ceil(high / n / TIMES[TIMES.length - 1]), ticks = [];
    for (let t = 0; t <= high; t += by) ticks.push(t);
    return ticks;
  };
  const logTicks = (low, high, n) => {
    for (const digits of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      const ticks = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        for (const d of digits) { const t = d * 10 ** e; if (t >= low * 0.999 && t <= high * 1.001) ticks.push(+t.toPrecision(3)); }
      if (ticks.length <= n || digits.length === 1) return ticks.filter((_, i) => i % Math.ceil(ticks.length / n) === 0);
    }
  };

  // --- the extent of y: the untrained network may lie so far off that nothing else could be told apart ---
  const extent = (series, log, clockOf, end) => {
    const values = [], trained = [];
    for (const s of series) s.y.forEach((v, i) => {
      if (v === null || clockOf(s)[i] > end * 1.001) return;
      values.push(v);
      if (s.x[i] > 0) trained.push(v);
    });
    if (!values.length) return null;
    let low = Math.min(...values), high = Math.max(...values), cut = false;
    if (!log && trained.length) {
      const a = Math.min(...trained), b = Math.max(...trained);
      if (high - low > 4 * (b - a) && b > a) { low = a; high = b; cut = true; }
    }
    if (log) return { low: low / 1.15, high: high * 1.15, cut };
    const air = (high - low || Math.abs(high) || 1) * 0.06;
    return { low: low - air, high: high + air, cut };
  };
  const wantsLog = (series) => {
    const values = series.flatMap((s) => s.y.filter((v) => v !== null));
    return values.length > 0 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 15;
  };

  const DASHES = ["none", "7 4", "2 4", "9 3 2 3"]; // one for each protocol
  // the height of a line, in pixels, where it ends or where the chart cuts it off
  const heightAt = (s, at, end, y) => {
    const finite = at.map((v, i) => i).filter((i) => s.y[i] !== null);
    const after = finite.findIndex((i) => at[i] > end);
    if (after < 0) return finite.length ? y(s.y[finite[finite.length - 1]]) : null;
    if (after === 0) return null;
    const [i, j] = [finite[after - 1], finite[after]];
    return y(s.y[i]) + ((y(s.y[j]) - y(s.y[i])) * (end - at[i])) / (at[j] - at[i]);
  };

  const shapes = [
    (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
    (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    (x, y, r) => `M${x},${y - 1.3 * r}l${1.3 * r},${2.2 * r}h${-2.6 * r}z`,
    (x, y, r) => `M${x},${y - 1.4 * r}l${1.4 * r},${1.4 * r}l${-1.4 * r},${1.4 * r}l${-1.4 * r},${-1.4 * r}z`,
  ];
  const shape = (run) => shapes[run % shapes.length];

  function draw(figure) {
    const chart = data.charts[+figure.dataset.chart];
    const over = figure.dataset.over || clock;
    const old = figure.querySelector("svg.plot");
    const width = Math.max(240, Math.floor(figure.clientWidth - 24));
    const height = figure.dataset.tall ? (width < 420 ? 250 : 320) : 220;
    const svg = make("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "img", "aria-label": `${chart.title} over ${over === "images" ? "images seen" : "wall time"}` });
    const all = chart.series, series = all.filter((s) => s.run === undefined || !hidden.has(s.run));
    const log = chart.log === undefined ? (chart.log = wantsLog(all)) : chart.log;
    const named = width >= 430 && series.length <= 10;
    const names = named ? Math.max(...series.map((s) => textWidth(s.label)), 0) + 14 : 12;
    const box = { left: 46, right: width - Math.min(names, width * 0.4), top: 8, bottom: height - 34 };
    const clockOf = (s) => (over === "images" ? s.x : s.t);
    const lasts = series.map((s) => Math.max(...clockOf(s), 0)).filter((v) => v > 0);
    const end = lasts.length ? (reach === "shortest" ? Math.min(...lasts) : Math.max(...lasts)) : 1;
    const range = extent(series, log, clockOf, end);
    const x = (v) => box.left + (v / end) * (box.right - box.left);
    figure.plot = null;
    if (!range) {
      make("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, svg, "nothing shown");
      old ? old.replaceWith(svg) : figure.appendChild(svg);
      return;
    }
    const f = log ? Math.log : (v) => v;
    const y = (v) => box.bottom - ((f(v) - f(range.low)) / (f(range.high) - f(range.low))) * (box.bottom - box.top);

    for (const t of log ? logTicks(range.low, range.high, 7) : linearTicks(range.low, range.high, 5)) {
      make("line", { class: "gridline", x1: box.left, x2: box.right, y1: y(t), y2: y(t) }, svg);
      make("text", { x: box.left - 6, y: y(t) + 4, "text-anchor": "end" }, svg, Math.abs(t) >= 1e4 || (t !== 0 && Math.abs(t) < 1e-3) ? t.toExponential(0) : String(t));
    }
    const room = Math.max(2, Math.floor((box.right - box.left) / 75));
    for (const t of over === "images" ? linearTicks(0, end, room) : timeTicks(end, room)) {
      make("line", { class: "base", x1: x(t), x2: x(t), y1: box.bottom, y2: box.bottom + 4 }, svg);
      make("text", { x: x(t), y: box.bottom + 16, "text-anchor": "middle" }, svg, over === "images" ? brief(t) : spanTick(t));
    }
    make("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, svg);
    make("text", { x: box.right, y: height - 4, "text-anchor": "end" }, svg, over === "images" ? "images seen" : "wall time");
    make("text", { x: box.left, y: height - 4 }, svg, log ? "log scale" : "");

    const id = `clip-${figure.dataset.chart}-${over}-${figure.dataset.over ? 1 : 0}`;
    const clip = make("clipPath", { id }, make("defs", {}, svg));
    make("rect", { x: box.left - 5, y: box.top - 5, width: box.right - box.left + 10, height: box.bottom - box.top + 10 }, clip);
    const ends = [];
    for (const s of series) {
      const at = clockOf(s), k = `k${s.colour} ${lifted !== null && s.run !== undefined && s.run !== lifted ? "faded" : ""}`;
      const group = make("g", { class: k, "clip-path": `url(#${id})` }, svg);
      let path = "", pen = "M";
      s.y.forEach((v, i) => {
        if (v === null) { pen = "M"; return; }
        path += `${pen}${x(at[i]).toFixed(1)},${y(v).toFixed(1)}`;
        pen = "L";
      });
      if (s.s && s.y.length > 1) {
        const inside = s.y.map((v, i) => i).filter((i) => s.y[i] !== null && s.s[i] !== null);
        const floor = (v) => (log ? Math.max(v, range.low) : v);
        const up = inside.map((i) => `${x(at[i]).toFixed(1)},${y(s.y[i] + s.s[i]).toFixed(1)}`);
        const down = inside.map((i) => `${x(at[i]).toFixed(1)},${y(floor(s.y[i] - s.s[i])).toFixed(1)}`).reverse();
        if (inside.length > 1) make("path", { class: "band", d: `M${[...up, ...down].join("L")}Z` }, group);
      }
      make("path", { class: `curve ${s.y.length > 80 ? "thin" : ""}`, d: path || "M0,0", "stroke-dasharray": DASHES[(s.dash || 0) % DASHES.length] }, group);
      const mark = shape(s.run === undefined ? 0 : s.run);
      if (s.y.length <= 40) s.y.forEach((v, i) => v !== null && make("path", { class: `mark ${i === s.best ? "best" : ""}`, d: mark(x(at[i]), y(v), i === s.best ? 4.5 : 2.6) }, group));
      else if (s.best !== undefined && s.best !== null) make("path", { class: "mark best", d: mark(x(at[s.best]), y(s.y[s.best]), 4.5) }, group);
      const tip = heightAt(s, at, end, y);
      if (tip !== null) ends.push({ s, k, y: Math.min(Math.max(tip, box.top), box.bottom) });
    }
    if (named) {
      ends.sort((a, b) => a.y - b.y);
      ends.forEach((e, i) => { e.at = i ? Math.max(e.y, ends[i - 1].at + 13) : e.y; });
      const excess = ends.length ? ends[ends.length - 1].at - box.bottom : 0;
      if (excess > 0) for (let i = ends.length - 1, floor = box.bottom; i >= 0; i--) { ends[i].at = Math.min(ends[i].at, floor); floor = ends[i].at - 13; }
      for (const e of ends) make("text", { class: `end ${e.k}`, x: box.right + 8, y: e.at + 4 }, svg, e.s.label);
    }
    const note = figure.querySelector(".below-note[data-cut]");
    if (note) note.hidden = !range.cut;
    const rule = make("line", { class: "rule", y1: box.top, y2: box.bottom, visibility: "hidden" }, svg);
    figure.plot = { chart, series, over, x, y, box, end, rule, svg, width, clockOf };
    svg.addEventListener("pointermove", (event) => read(figure, ((event.clientX - svg.getBoundingClientRect().left) * width) / svg.clientWidth));
    svg.addEventListener("pointerdown", (event) => read(figure, ((event.clientX - svg.getBoundingClientRect().left) * width) / svg.clientWidth));
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave(figure));
    svg.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") leave(figure);
      if (!by) return;
      event.preventDefault();
      const stops = [...new Set(series.flatMap((s) => clockOf(s)))].filter((v) => v <= end * 1.001).sort((a, b) => a - b);
      const here = figure.here === undefined ? (by > 0 ? -1 : stops.length) : stops.findIndex((v) => v >= figure.here);
      read(figure, x(stops[Math.min(Math.max(here + by, 0), stops.length - 1)]));
    });
    svg.addEventListener("blur", () => leave(figure));
    old ? old.replaceWith(svg) : figure.querySelector("figcaption").after(svg);
  }

  const leave = (figure) => {
    const readout = figure.querySelector(".readout");
    if (readout && readout.classList.contains("floating")) readout.remove();
    if (figure.plot) figure.plot.rule.setAttribute("visibility", "hidden");
    figure.here = undefined;
  };

  // --- the read-out: each run's point next to the pointer, the best on top ---
  function read(figure, px) {
    const p = figure.plot;
    if (!p) return;
    const wanted = Math.min(Math.max(((px - p.box.left) / (p.box.right - p.box.left)) * p.end, 0), p.end);
    const found = [];
    for (const s of p.series) {
      const at = p.clockOf(s);
      if (!at.length || wanted > at[at.length - 1] + p.end * 0.02) continue; // this run had ended
      let i = 0;
      at.forEach((v, j) => { if (v <= p.end * 1.001 && Math.abs(v - wanted) < Math.abs(at[i] - wanted)) i = j; });
      found.push({ s, i, at: at[i], value: s.y[i], spread: s.s ? s.s[i] : null });
    }
    if (!found.length) return;
    const near = found.reduce((a, b) => (Math.abs(b.at - wanted) < Math.abs(a.at - wanted) ? b : a));
    figure.here = near.at;
    const sign = p.chart.better === "higher" ? -1 : 1;
    if (p.chart.better) found.sort((a, b) => (a.value === null) - (b.value === null) || sign * (a.value - b.value));
    p.rule.setAttribute("x1", p.x(near.at));
    p.rule.setAttribute("x2", p.x(near.at));
    p.rule.setAttribute("visibility", "visible");
    const show = (v) => (p.over === "images" ? count(v) + " images" : span(v));
    let readout = figure.querySelector(".readout");
    if (!readout) {
      readout = document.createElement("div");
      readout.setAttribute("role", "status");
      figure.appendChild(readout);
    }
    const floating = p.width >= 430;
    readout.className = `readout ${floating ? "floating" : "below"}`;
    readout.replaceChildren();
    const head = document.createElement("div");
    head.className = "soft";
    head.textContent = show(near.at);
    readout.appendChild(head);
    for (const { s, at, value, spread } of found) {
      const line = document.createElement("div");
      line.appendChild(swatch(s.colour, s.run));
      const name = document.createElement("span");
      name.textContent = s.label + (Math.abs(at - near.at) > p.end * 0.004 ? ` (at ${p.over === "images" ? brief(at) : span(at)})` : "");
      const number = document.createElement("span");
      number.className = "value";
      number.textContent = value === null ? "not finite" : figures(value) + (spread ? ` ± ${+spread.toPrecision(2)}` : "");
      line.append(name, number);
      readout.appendChild(line);
    }
    if (floating) {
      const scale = p.svg.clientWidth / p.width, left = p.x(near.at) * scale + 12;
      const flip = left + readout.offsetWidth + 16 > p.svg.clientWidth;
      readout.style.left = `${Math.max(4, flip ? left - readout.offsetWidth - 14 : left + 14)}px`;
      readout.style.top = `${p.svg.getBoundingClientRect().top - figure.getBoundingClientRect().top + 4}px`;
    } else readout.style.left = readout.style.top = "";
  }

  const swatch = (colour, run) => {
    const svg = make("svg", { class: `swatch k${colour}`, viewBox: "0 0 14 14", "aria-hidden": "true" });
    make("path", { d: shape(run === undefined ? 0 : run)(7, 7, 4.5) }, svg);
    return svg;
  };

  const pen2d = document.createElement("canvas").getContext("2d");
  pen2d.font = '600 11px system-ui, -apple-system, "Segoe UI", sans-serif';
  const textWidth = (text) => pen2d.measureText(text).width;

  // --- controls ---
  const charts = [...document.querySelectorAll("figure[data-chart]")];
  const inSight = (figure) => figure.clientWidth > 0; // not within closed details
  const redraw = () => charts.filter(inSight).forEach(draw);
  for (const place of document.querySelectorAll("[data-swatch]")) place.replaceWith(swatch(data.runs[+place.dataset.swatch].colour, +place.dataset.swatch));
  for (const key of document.querySelectorAll("button.run-key")) {
    const run = +key.dataset.run;
    key.addEventListener("click", () => {
      hidden.has(run) ? hidden.delete(run) : hidden.add(run);
      key.setAttribute("aria-pressed", String(!hidden.has(run)));
      for (const place of document.querySelectorAll(`[data-of-run="${run}"]`)) place.hidden = hidden.has(run);
      redraw();
    });
    key.addEventListener("mouseenter", () => { lifted = run; redraw(); });
    key.addEventListener("mouseleave", () => { lifted = null; redraw(); });
  }
  const press = (group, button) => group.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
  for (const group of document.querySelectorAll("[data-choose]"))
    for (const button of group.querySelectorAll("button"))
      button.addEventListener("click", () => {
        press(group, button);
        if (group.dataset.choose === "clock") { clock = button.value; redraw(); }
        else if (group.dataset.choose === "reach") { reach = button.value; redraw(); }
        else for (const part of document.querySelectorAll("[data-position]")) part.hidden = part.dataset.position !== button.value;
      });
  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", redraw);
  let width = 0;
  new ResizeObserver(() => { if (document.body.clientWidth !== width) { width = document.body.clientWidth; redraw(); } }).observe(document.body);
  redraw();
})();
