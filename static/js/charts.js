// Draws every <figure class="chart"> from a small JSON spec (docs/front-end.md) with Chart.js, and fills the
// table behind it. Each kind of series has a hue, a point shape and a dash: never colour alone.
/* global Chart */

const KINDS = {
  human: { token: "--human", point: "circle", dash: [] },
  judge: { token: "--judge", point: "rect", dash: [6, 3] },
  policy: { token: "--policy", point: "triangle", dash: [] },
  random: { token: "--random", point: "crossRot", dash: [2, 3] },
  neutral: { token: "--neutral", point: "rectRot", dash: [10, 3, 2, 3] },
};
const EXTRA_DASHES = [null, [8, 4], [3, 3], [12, 3, 3, 3]];
const EXTRA_POINTS = [null, "rectRot", "star", "cross"];
const drawn = new Map();

// light-dark() tokens only resolve when used as a colour, so a probe element is asked.
function colour(token) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  probe.style.color = `var(${token})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function faded(rgb, alpha) {
  return rgb.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*\)$/, `rgba($1,$2,$3,${alpha})`);
}

// The second and later series of one kind keep the hue and change shape and dash.
function look(series, index, all) {
  const kind = KINDS[series.kind] ?? KINDS.neutral;
  const nth = all.slice(0, index).filter((other) => other.kind === series.kind).length;
  const turn = nth % EXTRA_DASHES.length;
  return {
    colour: colour(kind.token),
    point: EXTRA_POINTS[turn] ?? kind.point,
    dash: EXTRA_DASHES[turn] ?? kind.dash,
  };
}

function pairs(points) {
  return points.map(([x, y]) => ({ x, y }));
}

function bandDatasets(series, style) {
  const edge = (values) => series.points.map(([x], i) => ({ x, y: values[i] }));
  const shared = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isBand: true };
  return [
    { ...shared, label: `${series.name} low`, data: edge(series.low), fill: false },
    {
      ...shared,
      label: `${series.name} high`,
      data: edge(series.high),
      fill: "-1",
      backgroundColor: faded(style.colour, 0.16),
    },
  ];
}

function dataset(type, series, style) {
  return {
    type: type === "bar" ? "bar" : type === "scatter" ? "scatter" : "line",
    label: series.name,
    data: pairs(series.points),
    low: series.low,
    high: series.high,
    borderColor: style.colour,
    backgroundColor: type === "bar" ? faded(style.colour, 0.75) : style.colour,
    borderDash: style.dash,
    borderWidth: type === "bar" ? 1 : 2,
    pointStyle: style.point,
    pointRadius: series.points.length > 60 ? 0 : 4,
    pointHoverRadius: 6,
    showLine: type !== "scatter",
    tension: 0,
  };
}

function datasets(spec) {
  return spec.series.flatMap((series, index) => {
    const style = look(series, index, spec.series);
    const line = dataset(spec.type, series, style);
    const banded = series.low && series.high && ["line", "band"].includes(spec.type);
    return banded ? [...bandDatasets(series, style), line] : [line];
  });
}

// Intervals of bars and scattered points, as whiskers: Chart.js has none of its own.
const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(chart) {
    chart.data.datasets.forEach((set, index) => {
      if (!set.low || !["bar", "scatter"].includes(set.type) || !chart.isDatasetVisible(index)) return;
      const { ctx, scales } = chart;
      ctx.save();
      ctx.strokeStyle = set.type === "bar" ? colour("--text") : set.borderColor;
      ctx.lineWidth = 1.5;
      chart.getDatasetMeta(index).data.forEach((element, i) => {
        drawWhisker(
          ctx,
          element.x,
          scales.y.getPixelForValue(set.low[i]),
          scales.y.getPixelForValue(set.high[i]),
        );
      });
      ctx.restore();
    });
  },
};

function drawWhisker(ctx, x, bottom, top) {
  ctx.beginPath();
  ctx.moveTo(x, bottom);
  ctx.lineTo(x, top);
  for (const y of [bottom, top]) {
    ctx.moveTo(x - 4, y);
    ctx.lineTo(x + 4, y);
  }
  ctx.stroke();
}

function axis(spec, fallbackType) {
  const ink = colour("--muted");
  return {
    type: spec?.type ?? fallbackType,
    title: { display: Boolean(spec?.label), text: spec?.label ?? "", color: ink },
    min: spec?.min,
    max: spec?.max,
    ticks: { color: ink, maxRotation: 0, autoSkipPadding: 12 },
    grid: { color: colour("--line") },
    border: { color: colour("--line-strong") },
  };
}

function tooltipLabel(item) {
  const { low, high, label } = item.dataset;
  const interval = low && high ? ` [${number(low[item.dataIndex])}, ${number(high[item.dataIndex])}]` : "";
  return `${label}: ${number(item.parsed.y)}${interval}`;
}

function options(spec) {
  const categories = spec.series.some((series) => series.points.some(([x]) => typeof x === "string"));
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    interaction: { mode: "nearest", intersect: false },
    scales: { x: axis(spec.x, categories ? "category" : "linear"), y: axis(spec.y, "linear") },
    plugins: {
      legend: {
        display: spec.series.length > 1,
        position: "bottom",
        labels: {
          usePointStyle: true,
          color: colour("--text"),
          boxHeight: 8,
          filter: (item, data) => !data.datasets[item.datasetIndex].isBand,
        },
      },
      tooltip: { filter: (item) => !item.dataset.isBand, callbacks: { label: tooltipLabel } },
    },
  };
}

function labels(spec) {
  const seen = spec.series.flatMap((series) => series.points.map(([x]) => x));
  return seen.some((x) => typeof x === "string") ? [...new Set(seen)] : undefined;
}

function number(value) {
  if (typeof value !== "number") return value ?? "";
  return Number.isInteger(value) ? value.toLocaleString() : value.toPrecision(4).replace(/\.?0+$/, "");
}

function cell(row, tag, text, numeric) {
  const node = document.createElement(tag);
  node.textContent = text;
  if (numeric) node.className = "num";
  if (tag === "th") node.scope = "col";
  row.append(node);
}

function fillTable(figure, spec) {
  const holder = figure.querySelector("details .table-wrap");
  if (!holder || holder.childElementCount) return;
  const table = document.createElement("table");
  table.className = "data";
  const head = table.createTHead().insertRow();
  for (const title of ["Series", spec.x?.label ?? "x", spec.y?.label ?? "y", "Low", "High"])
    cell(head, "th", title, title !== "Series");
  const body = table.createTBody();
  for (const series of spec.series) {
    series.points.forEach(([x, y], i) => {
      const row = body.insertRow();
      cell(row, "td", series.name);
      for (const value of [x, y, series.low?.[i], series.high?.[i]]) cell(row, "td", number(value), true);
    });
  }
  holder.append(table);
}

function canvasOf(figure, spec) {
  const plot = figure.querySelector(".plot");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  const names = spec.series.map((series) => series.name).join(", ");
  canvas.setAttribute(
    "aria-label",
    `${figure.querySelector("figcaption")?.textContent.trim() ?? "Chart"}: ${names}. The table below has the numbers.`,
  );
  plot.replaceChildren(canvas);
  return canvas;
}

function draw(figure, spec) {
  drawn.get(figure)?.chart.destroy();
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const chart = new Chart(canvasOf(figure, spec), {
    type: spec.type === "bar" ? "bar" : spec.type === "scatter" ? "scatter" : "line",
    data: { labels: labels(spec), datasets: datasets(spec) },
    options: options(spec),
    plugins: [whiskers],
  });
  drawn.set(figure, { chart, spec });
  fillTable(figure, spec);
}

async function specOf(figure) {
  if (figure.dataset.chartJson)
    return JSON.parse(document.querySelector(figure.dataset.chartJson).textContent);
  const response = await fetch(figure.dataset.chartSrc, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

async function load(figure) {
  try {
    draw(figure, await specOf(figure));
  } catch (error) {
    figure.querySelector(".plot").textContent =
      `This chart could not be drawn: ${error.message}. Reload the page to try again.`;
  }
}

function drawAll(root) {
  for (const figure of drawn.keys()) if (!figure.isConnected) forget(figure);
  const figures = root.querySelectorAll(".chart[data-chart-src], .chart[data-chart-json]");
  for (const figure of figures) if (!drawn.has(figure)) load(figure);
}

function forget(figure) {
  drawn.get(figure).chart.destroy();
  drawn.delete(figure);
}

document.addEventListener("tandem:theme", () => {
  for (const [figure, { spec }] of [...drawn]) draw(figure, spec);
});
document.addEventListener("htmx:load", (event) => drawAll(event.detail.elt.parentElement ?? document));
drawAll(document);
