// The screen Forecast: one chart for each channel.  The numbers come with the page and with each of
// its updates, as JSON in the element #series-data.
(() => {
  "use strict";
  const place = document.getElementById("charts");
  const part = document.getElementById("series");
  if (!place || !part || !window.uPlot) return;
  const horizon = document.getElementById("forecast-horizon");
  const channels = document.getElementById("forecast-channels");
  const extent = document.getElementById("forecast-window");
  const HEIGHT = 220;
  const REGIME_PX = 5;
  const LABEL_PX = 48;
  const SERIES = 6;
  const charts = new Map();
  let shown = null;
  // Time between two updates of the charts.
  const PAUSE_MS = 3000;
  let waiting = 0;
  let drawnAt = 0;

  const colour = (name) => getComputedStyle(probe(name)).color;
  // Tokens use light-dark(), which only a real element resolves.
  const probes = new Map();
  const probe = (name) => {
    if (!probes.has(name)) {
      const one = document.createElement("i");
      one.className = "probe probe-" + name;
      place.append(one);
      probes.set(name, one);
    }
    return probes.get(name);
  };
  const soft = (name, share) => `color-mix(in srgb, ${colour(name)} ${share}%, transparent)`;

  const number = (value) => value == null ? "–" : Number(value.toPrecision(4)).toLocaleString("en");
  const clock = (at) => shown.numbered ? `sample ${at}` : new Date(at * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "medium" });

  // Columns of a chart: times, measured, past forecast with its interval, newest forecast with its.
  const columns = (channel) => {
    const ahead = Number(horizon.value);
    const rows = new Map();
    const row = (at) => rows.get(at) ?? rows.set(at, Array(7).fill(null)).get(at);
    shown.at_s.forEach((at, place) => { row(at)[0] = shown.values[channel][place]; });
    shown.forecasts.forEach((one) => {
      const cells = row(one.at_s[ahead]);
      cells[1] = one.point[ahead][channel];
      cells[2] = one.low[ahead][channel];
      cells[3] = one.high[ahead][channel];
    });
    const newest = shown.forecasts.at(-1);
    if (newest) {
      const now = row(newest.made_at_s);
      if (now[0] != null) now[4] = now[5] = now[6] = now[0];
      newest.at_s.forEach((at, h) => {
        const cells = row(at);
        [cells[4], cells[5], cells[6]] = [newest.point[h][channel], newest.low[h][channel], newest.high[h][channel]];
      });
    }
    const times = [...rows.keys()].sort((a, b) => a - b);
    return [times, ...Array.from({ length: 7 }, (_, k) => times.map((at) => rows.get(at)[k]))];
  };

  // Change points, anomalies and states, over and under the lines.
  const marks = (u, channel) => {
    const name = shown.channels[channel];
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const ratio = devicePixelRatio || 1;
    const at = (seconds) => u.valToPos(seconds, "x", true);
    const inside = (x) => x >= left && x <= left + width;
    ctx.save();
    for (const one of shown.change_points) {
      const x = at(one.at_s);
      if (!inside(x)) continue;
      ctx.strokeStyle = colour("new");
      ctx.globalAlpha = one.channels.includes(name) ? 1 : 0.3;
      ctx.lineWidth = 1.5 * ratio;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, top + height); ctx.stroke();
    }
    ctx.setLineDash([]);
    for (const one of shown.anomalies) {
      const x = at(one.at_s);
      if (!inside(x)) continue;
      ctx.fillStyle = colour("alarm");
      ctx.globalAlpha = one.channels.includes(name) ? 1 : 0.3;
      const size = 5 * ratio;
      ctx.beginPath(); ctx.moveTo(x - size, top); ctx.lineTo(x + size, top); ctx.lineTo(x, top + 1.6 * size); ctx.fill();
    }
    ctx.globalAlpha = 1;
    if (shown.numbered) { ctx.restore(); return; }
    const states = shown.change_points.length ? shown.change_points : [{ at_s: shown.at_s[0], regime: shown.regime }];
    const changes = states.map((one) => [one.at_s, one.regime])
      .filter(([, regime], place, all) => !place || all[place - 1][1] !== regime);
    const ends = [...changes.slice(1).map(([start]) => start), shown.at_s.at(-1)];
    changes.forEach(([start, regime], place) => {
      const from = Math.max(left, at(start));
      const to = Math.min(left + width, at(ends[place]));
      if (to <= from) return;
      ctx.fillStyle = colour("series-" + (1 + regime % SERIES));
      ctx.fillRect(from, top + height - REGIME_PX * ratio, to - from, REGIME_PX * ratio);
      if (to - from > LABEL_PX * ratio) {
        ctx.textAlign = "left";
        ctx.font = `${10 * ratio}px ${getComputedStyle(place_(channel)).fontFamily}`;
        ctx.fillText(`state ${regime}`, from + 3 * ratio, top + height - (REGIME_PX + 4) * ratio);
      }
    });
    ctx.restore();
  };
  const place_ = (channel) => charts.get(channel).box;

  // The first moment that a chart shows.
  const from = (low) => {
    const count = Number(extent.value);
    return count && count < shown.at_s.length ? Math.max(low, shown.at_s.at(-count)) : low;
  };

  // Times as in the rest of the console: 24 hours, and the date where a day begins.
  const DAY = "{YYYY}-{MM}-{DD}";
  const TIMES = [
    [86400, DAY, null, null, null, null, null, null, 1],
    [60, "{HH}:{mm}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
    [0.001, "{HH}:{mm}:{ss}.{fff}", `\n${DAY}`, null, `\n${DAY}`, null, null, null, 1],
  ];
  const options = (channel, width) => ({
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: "forecast" }, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: !shown.numbered, range: (u, low, high) => [from(low), high] }, y: { range: (u, low, high) => uPlot.rangeNum(low ?? 0, high ?? 1, 0.08, true) } },
    axes: [
      { stroke: () => colour("faint"), grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false }, space: 80, ...(shown.numbered ? {} : { values: TIMES }) },
      { stroke: () => colour("faint"), grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false }, size: 56 },
    ],
    series: [
      {},
      { stroke: () => colour("ink"), width: 1.5, spanGaps: true, points: { show: false } },
      { stroke: () => colour("known"), width: 1, dash: [3, 3], spanGaps: true, points: { show: false } },
      { stroke: "transparent", spanGaps: true, points: { show: false } },
      { stroke: "transparent", spanGaps: true, points: { show: false } },
      { stroke: () => colour("known"), width: 2, spanGaps: true, points: { show: true, size: 5, stroke: () => colour("known"), fill: () => colour("known") } },
      { stroke: () => soft("known", 60), width: 1, spanGaps: true, points: { show: false } },
      { stroke: () => soft("known", 60), width: 1, spanGaps: true, points: { show: false } },
    ],
    bands: [
      { series: [4, 3], fill: () => soft("known", 13) },
      { series: [7, 6], fill: () => soft("known", 26) },
    ],
    hooks: { draw: [(u) => marks(u, channel)], setCursor: [(u) => read(u, channel)] },
  });

  // What stands under the cursor, for sighted readers and, with the arrow keys, for screen readers.
  const read = (u, channel) => {
    const { out } = charts.get(channel) ?? {};
    if (!out) return;
    const at = u.cursor.idx;
    if (at == null) { out.textContent = summary(channel); return; }
    const cell = (k) => u.data[k][at];
    const parts = [clock(u.data[0][at])];
    if (cell(1) != null) parts.push(`measured ${number(cell(1))}`);
    if (cell(2) != null) parts.push(`forecast ${number(cell(2))} (${number(cell(3))} to ${number(cell(4))})`);
    if (cell(5) != null && cell(1) == null) parts.push(`newest forecast ${number(cell(5))} (${number(cell(6))} to ${number(cell(7))})`);
    out.textContent = parts.join(" · ");
  };
  const summary = (channel) => {
    const newest = shown.forecasts.at(-1);
    const value = shown.values[channel].at(-1);
    const parts = [`now ${number(value)}`];
    if (newest) {
      const last = newest.at_s.length - 1;
      const [point, low, high] = ["point", "low", "high"].map((name) => newest[name][last][channel]);
      if (point != null) parts.push(`in ${shown.horizons[last]} samples ${number(point)}, 90 % between ${number(low)} and ${number(high)}`);
    }
    return parts.join("; ");
  };

  const open = (channel) => {
    const box = document.createElement("figure");
    box.className = "card forecast-chart";
    const head = document.createElement("figcaption");
    const title = Object.assign(document.createElement("bdi"), { textContent: shown.channels[channel], className: "cut" });
    const out = document.createElement("span");
    out.className = "faint small";
    out.setAttribute("role", "status");
    head.append(title, out);
    const canvas = document.createElement("div");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    box.append(head, canvas);
    place.append(box);
    const chart = { box, out, canvas, plot: null };
    charts.set(channel, chart);
    chart.plot = new uPlot(options(channel, canvas.clientWidth), columns(channel), canvas);
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const { plot } = chart;
      const last = plot.data[0].length - 1;
      const at = Math.min(last, Math.max(0, (plot.cursor.idx ?? last + 1) + step));
      plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x"), top: 1 });
    });
    canvas.addEventListener("blur", () => chart.plot.setCursor({ left: -10, top: -10 }));
  };

  const draw = () => {
    const wanted = new Set([...channels.querySelectorAll("input:checked")].map((one) => Number(one.value)));
    if (!channels.querySelector("input")) wanted.add(0);
    for (const [channel, chart] of charts) {
      if (wanted.has(channel)) continue;
      chart.plot.destroy();
      chart.box.remove();
      charts.delete(channel);
    }
    for (const channel of [...wanted].sort((a, b) => a - b)) {
      if (!charts.has(channel)) open(channel);
      const { plot, canvas, out, box } = charts.get(channel);
      place.append(box);
      plot.setData(columns(channel));
      canvas.setAttribute("aria-label", `Chart of ${shown.channels[channel]}: ${summary(channel)}`);
      if (plot.cursor.idx == null) out.textContent = summary(channel);
    }
  };

  const load = () => {
    const text = document.getElementById("series-data")?.textContent;
    if (!text) return;
    const before = shown?.channels.join("\n");
    shown = JSON.parse(text);
    // Other columns than before: the page has to offer them.
    if (before !== undefined && before !== shown.channels.join("\n")) location.reload();
    draw();
  };
  const redraw = () => charts.forEach(({ plot }) => plot.redraw(false, true));

  horizon.addEventListener("change", draw);
  extent.addEventListener("change", draw);
  channels.addEventListener("change", draw);
  document.body.addEventListener("htmx:after:swap", load);
  document.body.addEventListener("auricle:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => charts.forEach(({ plot, canvas }) => plot.setSize({ width: canvas.clientWidth, height: HEIGHT }))).observe(place);
  document.body.addEventListener("auricle:feed", (event) => {
    const mine = (one) => one.stream === place.dataset.stream && ["forecast", "change-point", "anomaly"].includes(one.kind);
    if (!event.detail.messages?.some(mine) || waiting) return;
    // The newest sample is always drawn, even if others arrived just before it.
    waiting = setTimeout(() => {
      [waiting, drawnAt] = [0, Date.now()];
      document.body.dispatchEvent(new CustomEvent("auricle:series"));
    }, Math.max(0, drawnAt + PAUSE_MS - Date.now()));
  });
  const choose = document.querySelector(".forecast-choose");
  if (choose) {
    choose.querySelector("button").hidden = true;
    choose.addEventListener("change", () => choose.requestSubmit());
  }
  load();
})();
