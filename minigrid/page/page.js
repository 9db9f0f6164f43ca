"use strict";
// The fields of `data` are described by PageData in build.py.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const T = data.text.length, L = data.layers, H = data.units;

// the selected character, the character under the mouse (if any), and the array, layer and unit that colour the text
const chosen = { step: 0, hovered: null, direction: 0, quantity: 0, layer: L - 1, unit: 0 };
const shownStep = () => chosen.hovered ?? chosen.step;

// -- values: stored as whole numbers of one or two bytes, from -reach (0 if unsigned) to the reach of each layer

for (const array of Object.values(data.arrays)) {
  const bytes = Uint8Array.from(atob(array.data), (c) => c.charCodeAt(0));
  array.numbers = array.bits === 8 ? bytes : new Uint16Array(bytes.buffer);
}
const arrayOf = (quantity) => data.arrays[`${data.directions[chosen.direction].key}.${data.quantities[quantity].key}`];

function share(array, layer, step, unit) {
  return array.numbers[(layer * T + step) * H + unit] / (2 ** array.bits - 1);
}

function value(quantity, layer, step, unit) {
  const array = arrayOf(quantity), from0to1 = share(array, layer, step, unit), reach = array.reach[layer];
  return data.quantities[quantity].signed ? (2 * from0to1 - 1) * reach : from0to1 * reach;
}

const shown = (x, digits) => x.toFixed(digits).replace(/^-0(\.0+)?$/, "0$1").replace("-", "\u2212");

// -- colours

const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const maps = [data.colours.share, data.colours.signed].map((stops) => stops.map(channels));

function colour(from0to1, signed) {
  const stops = maps[signed ? 1 : 0], place = from0to1 * (stops.length - 1), below = Math.min(Math.floor(place), stops.length - 2);
  return stops[below].map((c, k) => Math.round(c + (stops[below + 1][k] - c) * (place - below)));
}

function inkOn(rgb, blank) { // black or white, whichever has more contrast; signs for white space are fainter
  const [r, g, b] = rgb.map((c) => (c / 255) ** 2.2), light = 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18;
  return (light ? "#000" : "#fff") + (blank ? "9" : "f");
}
const css = (rgb) => `rgb(${rgb.join(",")})`;

// -- the text

const characters = data.text.map((symbol, step) => {
  const span = document.createElement("span");
  span.id = `c${step}`;
  span.setAttribute("role", "option");
  span.setAttribute("aria-label", data.symbols[symbol].name);
  span.textContent = data.symbols[symbol].glyph;
  at("text").append(span);
  if (data.symbols[symbol].breaks) at("text").append(document.createElement("br"));
  return span;
});

function colourText() {
  const array = arrayOf(chosen.quantity), signed = data.quantities[chosen.quantity].signed;
  characters.forEach((span, step) => {
    const rgb = colour(share(array, chosen.layer, step, chosen.unit), signed);
    span.style.background = css(rgb);
    span.style.color = inkOn(rgb, data.symbols[data.text[step]].blank);
  });
}

function chooseStep(step) {
  characters[chosen.step].removeAttribute("aria-selected");
  chosen.step = Math.max(0, Math.min(T - 1, step));
  chosen.hovered = null;
  const span = characters[chosen.step];
  span.setAttribute("aria-selected", "true");
  at("text").setAttribute("aria-activedescendant", span.id);
  const box = at("text"), top = span.offsetTop, bottom = top + span.offsetHeight;
  if (top < box.scrollTop) box.scrollTop = top - 4;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight + 4;
  drawStep();
}

function hover(step) { // null: the mouse has left the text
  if (chosen.hovered === step) return;
  chosen.hovered = step;
  characters.forEach((span, k) => span.classList.toggle("hovered", k === step && step !== chosen.step));
  drawStep();
}

function stepInLine(offset) { // the nearest character in the line above (-1) or below (1)
  const from = characters[chosen.step];
  let best = chosen.step, bestLine = null, bestDistance = Infinity;
  for (let k = chosen.step + offset; k >= 0 && k < T; k += offset) {
    const span = characters[k];
    if (span.offsetTop === from.offsetTop) continue;
    bestLine ??= span.offsetTop;
    if (span.offsetTop !== bestLine) break;
    const distance = Math.abs(span.offsetLeft - from.offsetLeft);
    if (distance < bestDistance) [best, bestDistance] = [k, distance];
  }
  return best;
}

const stepOf = (event) => characters.indexOf(event.target.closest("[role=option]"));
at("text").addEventListener("click", (event) => { if (stepOf(event) >= 0) chooseStep(stepOf(event)); });
at("text").addEventListener("pointermove", (event) => {
  if (event.pointerType === "mouse" && stepOf(event) >= 0) hover(stepOf(event));
});
at("text").addEventListener("pointerleave", () => hover(null));

const jumps = {
  ArrowLeft: () => chosen.step - 1, ArrowRight: () => chosen.step + 1, Home: () => 0, End: () => T - 1,
  ArrowUp: () => stepInLine(-1), ArrowDown: () => stepInLine(1),
};
document.addEventListener("keydown", (event) => {
  if (!jumps[event.key] || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, button")) return;
  event.preventDefault();
  hover(null);
  chooseStep(jumps[event.key]());
});

// -- the strips: one for each layer and quantity, with the top layer first

const strips = [];
for (let layer = L - 1; layer >= 0; layer--) {
  const title = document.createElement("h3");
  title.textContent = `Layer ${layer + 1}${L === 1 ? "" : layer === L - 1 ? ", top" : layer === 0 ? ", bottom" : ""}`;
  at("layers").append(title);
  data.quantities.forEach(({ title: name, key }, quantity) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "strip";
    button.innerHTML = '<span></span><span class="cells"><canvas height="1"></canvas><span class="mark"></span></span><span class="number"></span>';
    const [label, cells, number] = button.children, [canvas, mark] = cells.children;
    label.textContent = `${name} ${key}`;
    canvas.width = H;
    button.addEventListener("click", (event) => {
      const box = cells.getBoundingClientRect(), x = (event.clientX - box.left) / box.width;
      const unit = event.detail && x >= 0 && x < 1 ? Math.floor(x * H) : chosen.unit; // detail is 0 for a click by keyboard
      choose({ layer, quantity, unit });
    });
    strips.push({ button, layer, quantity, name, canvas, mark, number });
    at("layers").append(button);
  });
}

at("layers").addEventListener("keydown", (event) => {
  const here = strips.findIndex(({ button }) => button === event.target);
  const by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (here < 0 || !by) return;
  event.preventDefault();
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    choose({ unit: Math.max(0, Math.min(H - 1, chosen.unit + by)) });
  } else {
    const { layer, quantity, button } = strips[Math.max(0, Math.min(strips.length - 1, here + by))];
    choose({ layer, quantity });
    button.focus();
  }
});

function drawStrip({ button, layer, quantity, name, canvas, mark, number }) {
  const context = canvas.getContext("2d"), pixels = context.createImageData(H, 1);
  const array = arrayOf(quantity), signed = data.quantities[quantity].signed, step = shownStep();
  for (let unit = 0; unit < H; unit++) {
    pixels.data.set([...colour(share(array, layer, step, unit), signed), 255], 4 * unit);
  }
  context.putImageData(pixels, 0, 0);
  mark.style.left = `${((chosen.unit + 0.5) / H) * 100}%`;
  number.textContent = shown(value(quantity, layer, step, chosen.unit), 2);
  const isChosen = layer === chosen.layer && quantity === chosen.quantity;
  button.setAttribute("aria-pressed", isChosen);
  button.tabIndex = isChosen ? 0 : -1;
  button.setAttribute("aria-label", `layer ${layer + 1}, ${name}: unit ${chosen.unit} is ${number.textContent}`);
}

// -- controls

data.directions.forEach(({ title }, direction) => {
  const label = document.createElement("label"), radio = document.createElement("input");
  Object.assign(radio, { type: "radio", name: "direction", value: direction, checked: direction === chosen.direction });
  radio.addEventListener("change", () => choose({ direction }));
  label.append(radio, title);
  at("directions").append(label);
});
at("directions").hidden = data.directions.length === 1;
at("unit").max = H - 1;
at("unit").addEventListener("input", () => choose({ unit: Number(at("unit").value) }));

function choose(changes) {
  Object.assign(chosen, changes);
  const { title, key, signed } = data.quantities[chosen.quantity], reach = arrayOf(chosen.quantity).reach[chosen.layer];
  const direction = data.directions.length > 1 ? ` ${data.directions[chosen.direction].title}` : "";
  at("unit").value = chosen.unit;
  at("unit-number").textContent = chosen.unit;
  at("colours").textContent = `Coloured by the ${title} ${key}${direction}, layer ${chosen.layer + 1}, unit ${chosen.unit}`;
  at("low").textContent = signed ? shown(-reach, 1) : "0";
  at("high").textContent = shown(reach, signed ? 1 : 0);
  at("ramp").style.background = `linear-gradient(90deg, ${maps[signed ? 1 : 0].map(css).join(", ")})`;
  colourText();
  drawStep();
}

// -- everything that the page shows about one character

function drawStep() {
  const step = shownStep(), { glyph, name } = data.symbols[data.text[step]];
  at("inside-title").textContent = `After character ${step + 1} of ${T}: ${glyph}`;
  strips.forEach(drawStrip);
  at("guesses").replaceChildren(...data.guesses[step].map(([symbol, p]) => guess(symbol, p, data.text[step + 1])));
  at("actual").textContent = step + 1 < T
    ? `Next in the text: ${data.symbols[data.text[step + 1]].glyph} (${percent(data.actual[step])})` : "The text ends here.";
  const { title } = data.quantities[chosen.quantity];
  at("spoken").textContent = `Character ${step + 1}, ${name}. Layer ${chosen.layer + 1}, ${title}, unit ${chosen.unit}: `
    + `${shown(value(chosen.quantity, chosen.layer, step, chosen.unit), 2)}.`;
}

const percent = (p) => `${(100 * p).toFixed(1)}%`;

function guess(symbol, p, actual) {
  const item = document.createElement("li"), sign = document.createElement("span"), bar = document.createElement("span");
  sign.className = "glyph";
  sign.textContent = data.symbols[symbol].glyph;
  sign.setAttribute("aria-label", data.symbols[symbol].name);
  bar.className = "share";
  bar.style.width = `${100 * p}%`;
  const text = document.createElement("span");
  text.className = "number";
  text.textContent = percent(p);
  item.classList.toggle("right", symbol === actual);
  item.append(sign, bar, text);
  return item;
}

document.title = `minigrid: ${data.name}`;
at("model").textContent = `${data.name}: ${data.about}`;
choose({ quantity: data.first, unit: data.unit });
chooseStep(0);
