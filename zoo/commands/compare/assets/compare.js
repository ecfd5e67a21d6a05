// Draws the curves of the page as SVG at the width they have, with a read-out under the pointer. No library: every
// chart is lines over one of three clocks, and the page must open from a file without a network.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const state = {
    clock: "images", // or another of CLOCKS
    reach: "longest", // run that the clocks go to; "shortest" shows what all runs have in common
    hidden: new Set(), // runs
    lifted: null, // the run whose button the pointer is on
  };

  const NS = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent, text) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.appendChild(element);
    return element;
  };
  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };
  const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
  const last = (list) => list[list.length - 1];

  // --- how numbers are written ---

  const isOdd = (v, large) => v !== 0 && (Math.abs(v) >= large || Math.abs(v) < 1e-3);
  const figures = (v) => (isOdd(v, 1e5) ? v.toExponential(2) : String(+v.toPrecision(4)));
  const label = (v) => (isOdd(v, 1e4) ? v.toExponential() : String(v)); // of a tick, all its digits
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const brief = (n) => (n >= 1e6 ? +(n / 1e6).toPrecision(3) + "M" : n >= 1e3 ? +(n / 1e3).toPrecision(3) + "k" : `${n}`);
  const two = (n) => String(n).padStart(2, "0");
  const duration = (seconds) => {
    const t = Math.round(seconds);
    return `${Math.floor(t / 3600)}:${two(Math.floor(t / 60) % 60)}:${two(t % 60)}`;
  };
  const briefly = (s) =>
    s === 0 ? "0" : s < 60 ? `${s} s` : s < 3600 ? `${+(s / 60).toFixed(1)} min` : `${+(s / 3600).toFixed(2)} h`;

  const CLOCKS = {
    images: { of: (s) => s.x, name: "images seen", tick: brief, near: brief, full: (v) => `${count(v)} images` },
    updates: { of: (s) => s.u, name: "updates of G", tick: brief, near: brief, full: (v) => `${count(v)} updates of G` },
    seconds: { of: (s) => s.t, name: "wall time", tick: briefly, near: duration, full: duration },
  };

  // --- ticks: at most about n of them ---

  const HOUR = 3600, DAY = 24 * HOUR;
  const TIMES = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY];
  const multiples = (by, low, high) => {
    const ticks = [];
    for (let i = Math.ceil(low / by - 1e-9); i * by <= high + by * 1e-9; i++) ticks.push(+(i * by).toPrecision(12));
    return ticks;
  };
  const linearTicks = (low, high, n) => {
    const rough = (high - low || 1) / n, power = 10 ** Math.floor(Math.log10(rough));
    return multiples([1, 2, 2.5, 5, 10].find((s) => s * power >= rough) * power, low, high);
  };
  const timeTicks = (high, n) =>
    multiples(TIMES.find((t) => t >= high / n) || last(TIMES) * Math.ceil(high / n / last(TIMES)), 0, high);
  const logTicks = (low, high, n) => {
    let ticks = [];
    for (const digits of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      ticks = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        ticks.push(...digits.map((d) => +(d * 10 ** e).toPrecision(3)));
      ticks = ticks.filter((t) => t >= low * 0.999 && t <= high * 1.001);
      if (ticks.length <= n) return ticks;
    }
    return ticks.filter((_, i) => i % Math.ceil(ticks.length / n) === 0);
  };

  // --- the extent of y ---

  // Values over more than one decade, all positive, are drawn on a log scale.
  const wantsLog = (series) => {
    const values = series.flatMap((s) => s.y.filter((v) => v !== null));
    return values.length > 0 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 15;
  };
  // Lowest and highest value until `end`. The untrained network (0 images) may lie so far off that nothing else could
  // be told apart: then it is cut.
  const extent = (series, log, clock, end) => {
    const values = [], trained = [];
    for (const s of series)
      s.y.forEach((v, i) => {
        if (v === null || clock.of(s)[i] > end * 1.001) return;
        values.push(v);
        if (s.x[i] > 0) trained.push(v);
      });
    if (!values.length) return null;
    let low = Math.min(...values), high = Math.max(...values), cut = false;
    if (log) return { low: low / 1.15, high: high * 1.15, cut };
    const a = Math.min(...trained), b = Math.max(...trained);
    if (b > a && high - low > 4 * (b - a)) [low, high, cut] = [a, b, true];
    const air = (high - low || Math.abs(high) || 1) * 0.06;
    return { low: low - air, high: high + air, cut };
  };

  // --- one chart ---

  const SHAPES = [
    (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
    (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    (x, y, r) => `M${x},${y - 1.3 * r}l${1.3 * r},${2.2 * r}h${-2.6 * r}z`,
    (x, y, r) => `M${x},${y - 1.4 * r}l${1.4 * r},${1.4 * r}l${-1.4 * r},${1.4 * r}l${-1.4 * r},${-1.4 * r}z`,
  ];
  const COLOURS = 8; // in html.py; the ninth run has the first one's colour, and another sign
  const shape = (run) => SHAPES[((run || 0) + Math.floor((run || 0) / COLOURS)) % SHAPES.length];
  const DASHES = ["none", "7 4", "2 4", "9 3 2 3"]; // one for each protocol; STYLES in charts.py
  const POINTS_MARKED = 40; // of a curve; longer ones are drawn as a thin line

  const pen = document.createElement("canvas").getContext("2d");
  pen.font = '600 11px system-ui, -apple-system, "Segoe UI", sans-serif';

  // Where everything lies: the box of the curves, and the functions from values to pixels.
  const layout = (figure, chart, svg) => {
    const clock = CLOCKS[figure.dataset.over || state.clock];
    const shown = chart.series.filter((s) => s.run === undefined || !state.hidden.has(s.run));
    const series = shown.filter(clock.of); // a log from before updates of G were written has none
    const width = Math.max(240, Math.floor(figure.clientWidth - 24));
    const height = figure.dataset.tall ? (width < 420 ? 250 : 320) : 220;
    if (chart.log === undefined) chart.log = wantsLog(chart.series);
    const named = width >= 430 && series.length <= 10; // names at the ends of the lines
    const names = named ? Math.max(...series.map((s) => pen.measureText(s.end || s.label).width), 0) + 28 : 12;
    const ends = series.map((s) => Math.max(...clock.of(s), 0)).filter((v) => v > 0);
    const end = ends.length ? (state.reach === "shortest" ? Math.min(...ends) : Math.max(...ends)) : 1;
    const range = extent(series, chart.log, clock, end);
    const ticks = !range ? [] : chart.log ? logTicks(range.low, range.high, 7) : linearTicks(range.low, range.high, 5);
    const left = Math.max(46, ...ticks.map((t) => pen.measureText(label(t)).width + 8)); // room for their labels
    const box = { left, right: width - Math.min(names, width * 0.4), top: 8, bottom: height - 34 };
    const f = chart.log ? Math.log : (v) => v;
    const x = (v) => box.left + (v / end) * (box.right - box.left);
    const y = (v) => box.bottom - ((f(v) - f(range.low)) / (f(range.high) - f(range.low))) * (box.bottom - box.top);
    return { chart, clock, series, svg, width, height, named, box, end, range, ticks, x, y };
  };

  const drawAxes = ({ chart, clock, svg, height, box, end, ticks, x, y }) => {
    for (const t of ticks) {
      make("line", { class: "gridline", x1: box.left, x2: box.right, y1: y(t), y2: y(t) }, svg);
      make("text", { x: box.left - 6, y: y(t) + 4, "text-anchor": "end" }, svg, label(t));
    }
    const room = Math.max(2, Math.floor((box.right - box.left) / 75));
    for (const t of clock === CLOCKS.seconds ? timeTicks(end, room) : linearTicks(0, end, room)) {
      make("line", { class: "base", x1: x(t), x2: x(t), y1: box.bottom, y2: box.bottom + 4 }, svg);
      make("text", { x: x(t), y: box.bottom + 16, "text-anchor": "middle" }, svg, clock.tick(t));
    }
    make("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, svg);
    make("text", { x: box.right, y: height - 4, "text-anchor": "end" }, svg, clock.name);
    if (chart.log) make("text", { x: box.left, y: height - 4 }, svg, "log scale");
  };

  const colourOf = (s) => `k${s.colour}` + (state.lifted !== null && s.run !== undefined && s.run !== state.lifted ? " faded" : "");

  const drawCurve = ({ chart, clock, svg, range, x, y }, s, clip) => {
    const at = clock.of(s), group = make("g", { class: colourOf(s), "clip-path": `url(#${clip})` }, svg);
    const point = (i, v) => `${x(at[i]).toFixed(1)},${y(v).toFixed(1)}`;
    const finite = s.y.map((_, i) => i).filter((i) => s.y[i] !== null);
    const spread = s.s ? finite.filter((i) => s.s[i] !== null) : [];
    if (spread.length > 1) {
      const floor = (v) => (chart.log ? Math.max(v, range.low) : v);
      const up = spread.map((i) => point(i, s.y[i] + s.s[i]));
      const down = spread.map((i) => point(i, floor(s.y[i] - s.s[i]))).reverse();
      make("path", { class: "band", d: `M${[...up, ...down].join("L")}Z` }, group);
    }
    const path = finite.map((i, n) => (n && finite[n - 1] === i - 1 ? "L" : "M") + point(i, s.y[i])).join("");
    const few = s.y.length <= POINTS_MARKED;
    const dashes = DASHES[(s.dash || 0) % DASHES.length];
    make("path", { class: few ? "curve" : "curve thin", d: path, "stroke-dasharray": dashes }, group);
    for (const i of finite) {
      const best = i === s.best;
      if (!few && !best) continue;
      const mark = shape(s.run)(x(at[i]), y(s.y[i]), best ? 4.5 : 2.6);
      make("path", { class: best ? "mark best" : "mark", d: mark }, group);
    }
  };

  // Where a line ends, or the chart cuts it off: [x, y] in pixels, or null.
  const tipOf = ({ clock, end, x, y }, s) => {
    const at = clock.of(s), finite = s.y.map((_, i) => i).filter((i) => s.y[i] !== null);
    const after = finite.findIndex((i) => at[i] > end);
    if (after < 0) return finite.length ? [x(at[last(finite)]), y(s.y[last(finite)])] : null;
    if (after === 0) return null;
    const i = finite[after - 1], j = finite[after];
    return [x(end), y(s.y[i]) + ((y(s.y[j]) - y(s.y[i])) * (end - at[i])) / (at[j] - at[i])];
  };

  const fitting = (text, room) => {
    let n = text.length;
    while (n > 1 && pen.measureText(text.slice(0, n)).width > room) n--;
    return n < text.length ? text.slice(0, n - 1) + "\u2026" : text;
  };

  // Names at the right, each with its run's sign, 13 pixels apart at least; a thin line leads there from an end that
  // lies further to the left.
  const drawNames = (plot) => {
    const { box, svg } = plot, names = [];
    for (const s of plot.series) {
      const tip = tipOf(plot, s);
      if (tip !== null) names.push({ s, tip, at: clamp(tip[1], box.top, box.bottom) });
    }
    names.sort((a, b) => a.at - b.at);
    for (let i = 1; i < names.length; i++) names[i].at = Math.max(names[i].at, names[i - 1].at + 13);
    for (let i = names.length - 1, floor = box.bottom; i >= 0; i--, floor = names[i + 1].at - 13)
      names[i].at = Math.min(names[i].at, floor);
    for (const { s, tip, at } of names) {
      const group = make("g", { class: colourOf(s) }, svg);
      const from = [tip[0] + 7, clamp(tip[1], box.top, box.bottom)];
      if (from[0] < box.right - 4) make("path", { class: "leader", d: `M${from}L${box.right + 5},${at}` }, group);
      make("path", { class: "sign", d: shape(s.run)(box.right + 12, at, 3.6) }, group);
      make("text", { class: "end", x: box.right + 21, y: at + 4 }, group, fitting(s.end || s.label, plot.width - box.right - 24));
    }
  };

  const draw = (figure, number) => {
    const chart = data.charts[+figure.dataset.chart], svg = make("svg", { class: "plot", tabindex: 0, role: "img" });
    const plot = layout(figure, chart, svg), { width, height, box, range } = plot;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.setAttribute("aria-label", `${chart.title} over ${plot.clock.name}`);
    figure.plot = range ? plot : null;
    if (!range) make("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, svg, "nothing shown");
    else {
      const clip = make("clipPath", { id: `clip-${number}` }, make("defs", {}, svg)), air = 5;
      const inside = { width: box.right - box.left + 2 * air, height: box.bottom - box.top + 2 * air };
      make("rect", { x: box.left - air, y: box.top - air, ...inside }, clip);
      drawAxes(plot);
      for (const s of plot.series) drawCurve(plot, s, `clip-${number}`);
      if (plot.named) drawNames(plot);
      plot.rule = make("line", { class: "rule", y1: box.top, y2: box.bottom, visibility: "hidden" }, svg);
      listen(figure, svg);
    }
    const note = figure.querySelector("[data-cut]"), old = figure.querySelector("svg.plot");
    if (note) note.hidden = !(range && range.cut);
    if (old) old.replaceWith(svg);
    else figure.querySelector("figcaption").after(svg);
  };

  // --- the read-out: each run's point next to the pointer, the best on top ---

  const listen = (figure, svg) => {
    const follow = (event) =>
      read(figure, ((event.clientX - svg.getBoundingClientRect().left) * figure.plot.width) / svg.clientWidth);
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave(figure));
    svg.addEventListener("blur", () => leave(figure));
    svg.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave(figure);
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const { series, clock, end, x } = figure.plot;
      const stops = [...new Set(series.flatMap(clock.of))].filter((v) => v <= end * 1.001).sort((a, b) => a - b);
      const outside = by > 0 ? -1 : stops.length;
      const here = figure.here === undefined ? outside : stops.findIndex((v) => v >= figure.here);
      read(figure, x(stops[clamp(here + by, 0, stops.length - 1)]));
    });
  };

  const leave = (figure) => {
    const readout = figure.querySelector(".readout.floating");
    if (readout) readout.remove();
    if (figure.plot) figure.plot.rule.setAttribute("visibility", "hidden");
    figure.here = undefined;
  };

  // Of each run that has not ended by then, the point nearest to `wanted` on the clock.
  const pointsAt = ({ series, clock, end }, wanted) => {
    const found = [];
    for (const s of series) {
      const at = clock.of(s);
      if (!at.length || wanted > last(at) + end * 0.02) continue;
      let i = 0;
      at.forEach((v, j) => { if (v <= end * 1.001 && Math.abs(v - wanted) < Math.abs(at[i] - wanted)) i = j; });
      found.push({ s, at: at[i], value: s.y[i], spread: s.s ? s.s[i] : null });
    }
    return found;
  };

  function read(figure, pixel) {
    const plot = figure.plot, { chart, box, end } = plot;
    const wanted = clamp(((pixel - box.left) / (box.right - box.left)) * end, 0, end);
    const found = pointsAt(plot, wanted);
    if (!found.length) return;
    const nearest = found.reduce((a, b) => (Math.abs(b.at - wanted) < Math.abs(a.at - wanted) ? b : a)).at;
    figure.here = nearest;
    const sign = chart.better === "higher" ? -1 : 1;
    if (chart.better) found.sort((a, b) => (a.value === null) - (b.value === null) || sign * (a.value - b.value));
    for (const end of ["x1", "x2"]) plot.rule.setAttribute(end, plot.x(nearest));
    plot.rule.setAttribute("visibility", "visible");
    let readout = figure.querySelector(".readout");
    if (!readout) {
      readout = element("div", "readout");
      readout.setAttribute("role", "status");
      figure.appendChild(readout);
    }
    readout.replaceChildren(element("div", "soft", plot.clock.full(nearest)), ...found.map((p) => line(plot, p, nearest)));
    position(figure, readout);
  }

  const line = ({ clock, end }, { s, at, value, spread }, nearest) => {
    const own = element("div", ""), elsewhere = Math.abs(at - nearest) > end * 0.004;
    const text = value === null ? "not finite" : figures(value) + (spread ? ` ± ${+spread.toPrecision(2)}` : "");
    const name = s.label + (elsewhere ? ` (at ${clock.near(at)})` : "");
    own.append(swatch(s.colour, s.run), element("span", "", name), element("span", "value", text));
    return own;
  };

  // Beside the pointer where there is room, below the chart on a phone.
  const position = (figure, readout) => {
    const { svg, width, x } = figure.plot, floating = width >= 430;
    readout.className = `readout ${floating ? "floating" : "below"}`;
    if (!floating) return readout.removeAttribute("style");
    const left = x(figure.here) * (svg.clientWidth / width) + 12;
    const flip = left + readout.offsetWidth + 16 > svg.clientWidth;
    readout.style.left = `${Math.max(4, flip ? left - readout.offsetWidth - 14 : left + 14)}px`;
    readout.style.top = `${svg.getBoundingClientRect().top - figure.getBoundingClientRect().top + 4}px`;
  };

  const swatch = (colour, run) => {
    const svg = make("svg", { class: `swatch k${colour}`, viewBox: "0 0 14 14", "aria-hidden": "true" });
    make("path", { d: shape(run)(7, 7, 4.5) }, svg);
    return svg;
  };

  // --- controls ---

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const charts = all("figure[data-chart]");
  const redraw = () => charts.forEach((figure, i) => figure.clientWidth > 0 && draw(figure, i)); // not in closed details
  const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));

  for (const place of all("[data-swatch]")) {
    const run = +place.dataset.swatch;
    place.replaceWith(swatch(data.runs[run].colour, run));
  }
  for (const key of all("button.run-key")) {
    const run = +key.dataset.run;
    const lift = (to) => () => { state.lifted = to; redraw(); };
    key.addEventListener("mouseenter", lift(run));
    key.addEventListener("mouseleave", lift(null));
    key.addEventListener("click", () => {
      const hide = !state.hidden.has(run);
      if (hide) state.hidden.add(run);
      else state.hidden.delete(run);
      press(key, !hide);
      for (const place of all(`[data-of-run="${run}"]`)) place.hidden = hide;
      redraw();
    });
  }
  for (const group of all("[data-choose]"))
    for (const button of all("button", group))
      button.addEventListener("click", () => {
        for (const other of all("button", group)) press(other, other === button);
        const chosen = group.dataset.choose;
        if (chosen === "position") for (const part of all("[data-position]")) part.hidden = part.dataset.position !== button.value;
        else { state[chosen] = button.value; redraw(); }
      });
  for (const details of all("details")) details.addEventListener("toggle", redraw);
  let width = 0;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    redraw();
  }).observe(document.body);
})();
