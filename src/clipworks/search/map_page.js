"use strict";
// Axes: a point has a place in the map's square (-1..1), the view maps it to the screen.
const data = JSON.parse(document.getElementById("data").textContent);
const bytes = Uint8Array.from(atob(data.points), (c) => c.charCodeAt(0));
const points = new Float32Array(bytes.buffer);
const count = points.length / 2;
const texts = data.captions.map((caption, i) => `${caption}\n${data.names[i]}`.toLowerCase());
const PALETTE = ["#4477dd", "#e0662e", "#2f9e63", "#c23b74", "#8e5bd0", "#b38a12", "#1797a6",
  "#d8484a", "#6b8e23", "#a0603a", "#5566aa", "#cc66cc", "#339980", "#dd8899", "#77771f", "#3f88c5",
  "#f19a3e", "#6a4c93", "#59a14f", "#b07aa1", "#9c755f", "#4e9a9a", "#e15759", "#7f7f7f"];
const BLANK = "#9a9a9a";
const MAX_THUMBNAILS = 2500;  // more of them on the screen are drawn as dots
const SMALLEST_PX = 18;  // and so are those that would be smaller than this
const MAX_LABELS = 14;
const byId = (id) => document.getElementById(id);
const canvas = byId("map"), context = canvas.getContext("2d");
const card = byId("card"), lens = card.querySelector("canvas").getContext("2d");
const view = { x: 0, y: 0, scale: 1 };
const matching = new Uint8Array(count).fill(1);
let colouring = null, hidden = new Set(), colours = [], shades = [], hovered = -1, waiting = false;
let isRound = true, middles = [];

const sheets = data.sheets.map((uri) => {
  const image = new Image();
  image.onload = redraw;
  image.src = uri;
  return image;
});

// A grid over the square finds the points near a place, and those in sight, quickly.
const CELLS = 64;
const grid = Array.from({ length: CELLS * CELLS }, () => []);
const cellOf = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor((value + 1) / 2 * CELLS)));
for (let i = 0; i < count; i++) {
  grid[cellOf(points[2 * i + 1]) * CELLS + cellOf(points[2 * i])].push(i);
}

const cellsInUse = grid.filter((cell) => cell.length).length;

function resize() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(innerWidth * ratio);
  canvas.height = Math.round(innerHeight * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  redraw();
}

function showAll() {
  const low = [0, 1].map((axis) => points.reduce((m, v, n) => n % 2 === axis ? Math.min(m, v) : m, 1));
  const high = [0, 1].map((axis) => points.reduce((m, v, n) => n % 2 === axis ? Math.max(m, v) : m, -1));
  const aside = innerWidth > 640 ? 300 : 0;  // the tools stand on the left
  const width = innerWidth - aside, room = 0.92;
  const spans = [0, 1].map((axis) => Math.max(high[axis] - low[axis], 0.05));
  view.scale = Math.min(width / spans[0], innerHeight / spans[1]) * room;
  view.x = aside + width / 2 - (low[0] + high[0]) / 2 * view.scale;
  view.y = innerHeight / 2 - (low[1] + high[1]) / 2 * view.scale;
  redraw();
}

function zoomAt(x, y, factor) {
  const scale = Math.min(Math.max(view.scale * factor, 60), 400000);
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  redraw();
}

function pointsWithin(left, top, right, bottom) {
  const found = [];
  const x0 = cellOf(left), x1 = cellOf(right), y0 = cellOf(top), y1 = cellOf(bottom);
  for (let row = y0; row <= y1; row++) {
    for (let column = x0; column <= x1; column++) {
      for (const i of grid[row * CELLS + column]) {
        const x = points[2 * i], y = points[2 * i + 1];
        if (x >= left && x <= right && y >= top && y <= bottom) found.push(i);
      }
    }
  }
  return found;
}

const toMapX = (x) => (x - view.x) / view.scale;
const toMapY = (y) => (y - view.y) / view.scale;
const isShown = (i) => matching[i] && !(colouring && hidden.has(colouring.values[i]));

function thumbnailSize() {
  // As large as the room lets them be where points are; they overlap a little.
  return Math.min(data.tile * 1.5, 1.4 * view.scale * (2 / CELLS) * Math.sqrt(cellsInUse / count));
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function draw() {
  waiting = false;
  context.clearRect(0, 0, innerWidth, innerHeight);
  const margin = data.tile / view.scale;
  const seen = pointsWithin(toMapX(0) - margin, toMapY(0) - margin,
    toMapX(innerWidth) + margin, toMapY(innerHeight) + margin);
  const size = thumbnailSize();
  const withPictures = sheets.length && seen.length <= MAX_THUMBNAILS && size >= SMALLEST_PX;
  const dot = Math.min(11, Math.max(2.4, 300 / Math.sqrt(count)) * Math.sqrt(Math.max(1, view.scale / 400)));
  isRound = seen.length < 8000;
  context.globalAlpha = 0.13;
  context.fillStyle = BLANK;
  for (const i of seen) if (!isShown(i)) drawDot(i, dot);
  context.globalAlpha = withPictures ? 1 : 0.8;
  for (const i of seen) {
    if (!isShown(i)) continue;
    if (withPictures && drawPicture(context, i, place(i, size), size)) frame(i, place(i, size), size);
    else { context.fillStyle = colours[i] || BLANK; drawDot(i, dot); }
  }
  context.globalAlpha = 1;
  drawLabels();
  if (hovered >= 0) mark(hovered, withPictures ? size : dot);
}

function place(i, size) {
  return [view.x + points[2 * i] * view.scale - size / 2, view.y + points[2 * i + 1] * view.scale - size / 2];
}

function drawDot(i, size) {
  const x = view.x + points[2 * i] * view.scale, y = view.y + points[2 * i + 1] * view.scale;
  if (!isRound) return context.fillRect(x - size / 2, y - size / 2, size, size);
  context.beginPath();
  context.arc(x, y, size / 2, 0, 7);
  context.fill();
}

// The kinds' names stand at the middle of their points, where no larger kind's name stands.
function findMiddles() {
  if (!colouring || !colouring.kinds.length) return [];
  const members = colouring.kinds.map(() => []);
  for (let i = 0; i < count; i++) if (colouring.values[i] !== null) members[colouring.values[i]].push(i);
  const middle = (rows, axis) => rows.map((i) => points[2 * i + axis]).sort((a, b) => a - b)[rows.length >> 1];
  return members.map((rows, kind) => ({ kind, size: rows.length, x: middle(rows, 0), y: middle(rows, 1) }))
    .filter((one) => one.size).sort((a, b) => b.size - a.size).slice(0, MAX_LABELS);
}

function drawLabels() {
  const style = getComputedStyle(document.body), taken = [];
  context.font = `600 12px ${style.fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const one of middles) {
    if (hidden.has(one.kind)) continue;
    const words = colouring.kinds[one.kind].split(", ").slice(0, 2).join(", ");
    const x = view.x + one.x * view.scale, y = view.y + one.y * view.scale;
    const half = context.measureText(words).width / 2 + 4;
    if (taken.some((box) => Math.abs(box.x - x) < box.half + half && Math.abs(box.y - y) < 18)) continue;
    taken.push({ x, y, half });
    context.strokeStyle = style.backgroundColor;
    context.lineWidth = 4;
    context.strokeText(words, x, y);
    context.fillStyle = style.color;
    context.fillText(words, x, y);
  }
}

function drawPicture(target, i, [x, y], size) {
  const perSheet = data.across * data.across;
  const sheet = sheets[Math.floor(i / perSheet)];
  if (!sheet || !sheet.complete || !sheet.naturalWidth) return false;
  const spot = i % perSheet;
  target.drawImage(sheet, spot % data.across * data.tile, Math.floor(spot / data.across) * data.tile,
    data.tile, data.tile, x, y, size, size);
  return true;
}

function frame(i, [x, y], size) {
  if (size < 20) return;
  context.strokeStyle = colours[i] || BLANK;
  context.lineWidth = 2;
  context.strokeRect(x - 1, y - 1, size + 2, size + 2);
}

function mark(i, size) {
  const half = size / 2 + 4;
  context.strokeStyle = getComputedStyle(document.body).color;
  context.lineWidth = 2;
  context.strokeRect(view.x + points[2 * i] * view.scale - half,
    view.y + points[2 * i + 1] * view.scale - half, 2 * half, 2 * half);
}

function nearest(x, y) {
  const reach = 22 / view.scale, mx = toMapX(x), my = toMapY(y);
  let best = -1, distance = reach * reach;
  for (const i of pointsWithin(mx - reach, my - reach, mx + reach, my + reach)) {
    if (!isShown(i)) continue;
    const d = (points[2 * i] - mx) ** 2 + (points[2 * i + 1] - my) ** 2;
    if (d < distance) { distance = d; best = i; }
  }
  return best;
}

function showCard(i, x, y) {
  if (i !== hovered) { hovered = i; redraw(); }
  card.style.display = i < 0 ? "none" : "block";
  if (i < 0) return;
  lens.clearRect(0, 0, 288, 288);
  lens.canvas.style.display = drawPicture(lens, i, [0, 0], 288) ? "block" : "none";
  const name = data.names[i].replaceAll("\\", "/").split("/").pop();
  const kind = colouring && colouring.kinds.length ? colouring.kinds[colouring.values[i]] : null;
  card.querySelector("b").textContent = data.captions[i] || name;
  card.querySelector("p").textContent = [data.captions[i] ? name : null, kind].filter(Boolean).join(" · ");
  const box = card.getBoundingClientRect();
  card.style.left = `${Math.min(x + 18, innerWidth - box.width - 8)}px`;
  card.style.top = `${Math.max(8, Math.min(y + 18, innerHeight - box.height - 8))}px`;
}

function find(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (let i = 0; i < count; i++) {
    matching[i] = wanted.every((word) => texts[i].includes(word)) ? 1 : 0;
    found += matching[i];
  }
  byId("found").textContent = wanted.length ? `${found.toLocaleString()} of ${count.toLocaleString()}` : "";
  redraw();
}

const shade = (share) => `hsl(${250 - 210 * share} 65% ${38 + 18 * share}%)`;

function colourBy(chosen) {
  colouring = chosen || null;
  hidden = new Set();
  colours = colouring ? colouring.values.map((value) => value === null ? BLANK
    : colouring.kinds.length ? PALETTE[value % PALETTE.length] : shade(value)) : [];
  middles = findMiddles();
  const legend = byId("legend");
  legend.replaceChildren();
  if (!colouring) { colours = new Array(count).fill(PALETTE[0]); return redraw(); }
  if (colouring.kinds.length) colouring.kinds.forEach((kind, n) => legend.append(legendRow(kind, n)));
  else legend.append(...numberScale());
  redraw();
}

function legendRow(kind, number) {
  const button = document.createElement("button"), dot = document.createElement("i");
  const name = document.createElement("span"), size = document.createElement("small");
  dot.style.background = PALETTE[number % PALETTE.length];
  name.textContent = kind;
  size.textContent = colouring.values.filter((value) => value === number).length.toLocaleString();
  button.append(dot, name, size);
  button.setAttribute("aria-pressed", "true");
  button.title = "Show or hide; double click for this one alone";
  button.onclick = () => {
    if (hidden.has(number)) hidden.delete(number); else hidden.add(number);
    pressLegend();
  };
  button.ondblclick = () => {
    hidden = new Set(colouring.kinds.map((_, n) => n).filter((n) => n !== number));
    pressLegend();
  };
  return button;
}

function pressLegend() {
  [...byId("legend").children].forEach((row, n) => row.setAttribute("aria-pressed", String(!hidden.has(n))));
  redraw();
}

function numberScale() {
  const bar = document.createElement("div"), ends = document.createElement("p");
  bar.id = "scale";
  bar.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(shade).join(", ")})`;
  ends.id = "ends";
  for (const end of [colouring.low, colouring.high]) {
    const word = document.createElement("span");
    word.textContent = end.toLocaleString(undefined, { maximumSignificantDigits: 4 });
    ends.append(word);
  }
  return [bar, ends];
}

// One finger or the mouse drags, two fingers or the wheel zoom.
const fingers = new Map();
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  canvas.classList.add("dragging");
});
canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return showCard(nearest(event.clientX, event.clientY), event.clientX, event.clientY);
  if (fingers.size === 1) {
    view.x += event.clientX - before.clientX;
    view.y += event.clientY - before.clientY;
  } else {
    const [other] = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
    const gap = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    zoomAt(other.clientX, other.clientY, gap(event) / Math.max(1, gap(before)));
  }
  fingers.set(event.pointerId, event);
  redraw();
});
for (const kind of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(kind, (event) => {
    fingers.delete(event.pointerId);
    if (!fingers.size) canvas.classList.remove("dragging");
  });
}
canvas.addEventListener("pointerleave", () => showCard(-1));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(event.clientX, event.clientY, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)));
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (event.key === "+" || event.key === "=") zoomAt(innerWidth / 2, innerHeight / 2, 1.4);
  else if (event.key === "-") zoomAt(innerWidth / 2, innerHeight / 2, 1 / 1.4);
  else if (event.key === "0") showAll();
  else if (steps[event.key]) { view.x += steps[event.key][0]; view.y += steps[event.key][1]; redraw(); }
});
byId("in").onclick = () => zoomAt(innerWidth / 2, innerHeight / 2, 1.6);
byId("out").onclick = () => zoomAt(innerWidth / 2, innerHeight / 2, 1 / 1.6);
byId("all").onclick = showAll;
byId("find").addEventListener("input", (event) => find(event.target.value));

const select = byId("colouring");
for (const one of data.colourings) select.add(new Option(one.name));
select.onchange = () => colourBy(data.colourings[select.selectedIndex]);
byId("colours").style.display = data.colourings.length ? "" : "none";
addEventListener("resize", resize);
colourBy(data.colourings[0]);
resize();
showAll();
