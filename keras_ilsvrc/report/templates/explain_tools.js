// Drawing of images, for networks that take grey images.
const pen = byId("pad").getContext("2d", { willReadFrequently: true });
let from = null;

// Wipe the pad, and show nothing, as before the first image.
function clear() {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, 320, 320);
  turn++; // ends a computation
  Object.assign(shown, { picture: null, input: null, results: null, truth: null });
  selected?.select(null);
  for (const layer of layers) layer.clear();
  for (const id of ["picture", "inset"]) net.paint(byId(id));
  byId("answer").replaceChildren();
  byId("truth").textContent = "";
  byId("empty").hidden = false;
  complain(null);
}

function drawing(on) {
  if (on) covering(false);
  byId("pad").hidden = byId("drawing").hidden = !on;
  byId("picture").hidden = byId("marks").hidden = on;
  byId("draw").setAttribute("aria-pressed", String(on));
  if (on) press(null);
}

async function seeDrawing() {
  const x = await decodedImage(byId("pad"), 1, "the drawing");
  const { size, share, paper, ink } = net.drawn;
  const fitted = fromDrawing(x, size, share, paper, ink);
  if (fitted) await see(fitted, rows.all);
}

function point({ clientX, clientY }) {
  const { left, top, width: wide } = byId("pad").getBoundingClientRect();
  return [((clientX - left) / wide) * 320, ((clientY - top) / wide) * 320];
}

byId("pad").onpointerdown = (event) => {
  byId("pad").setPointerCapture(event.pointerId);
  from = point(event);
  stroke(event);
};
byId("pad").onpointermove = (event) => from && stroke(event);
byId("pad").onpointerup = () => (from = null);

function stroke(event) {
  const to = point(event);
  Object.assign(pen, { lineWidth: 26, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  from = to;
  seeDrawing();
}

byId("draw").hidden = !net.drawn;
byId("draw").onclick = () => drawing(byId("pad").hidden);
byId("clear").onclick = clear;
clear();

// Covering a part of the image with a grey square.
const side = () => Math.max(1, Math.round((byId("side").value / 10) * Math.min(height, width)));

function covering(on) {
  if (on) drawing(false);
  byId("covering").hidden = !on;
  byId("cover").setAttribute("aria-pressed", String(on));
  byId("stage").classList.toggle("covering", on);
  heat = null;
  square = on ? place({ top: (height - side()) / 2, left: (width - side()) / 2 }) : null;
  drawSquare();
  if (shown.input) return answer();
}

const place = ({ top, left }) => ({
  top: Math.round(Math.max(0, Math.min(height - side(), top))),
  left: Math.round(Math.max(0, Math.min(width - side(), left))),
});

function covered({ top, left }) {
  const x = shown.input.slice();
  for (let row = top; row < top + side(); row++) {
    const at = (row * width + left) * channels;
    x.set(grey.subarray(at, at + side() * channels), at);
  }
  return x;
}

function drawSquare() {
  const canvas = byId("marks");
  const scale = Math.max(1, Math.round(400 / Math.max(height, width)));
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d");
  if (heat) {
    const most = Math.max(...heat.drops, 1e-9);
    heat.drops.forEach((drop, i) => {
      const [row, column] = [Math.floor(i / heat.count), i % heat.count];
      const [high, wide] = [canvas.height / heat.count, canvas.width / heat.count];
      context.fillStyle = `rgb(222 60 40 / ${(75 * Math.max(0, drop)) / most}%)`;
      context.fillRect(column * wide, row * high, wide, high);
    });
  } else if (square) {
    context.fillStyle = `rgb(${GREY} ${GREY} ${GREY})`;
    context.fillRect(square.left * scale, square.top * scale, side() * scale, side() * scale);
    Object.assign(context, { strokeStyle: "white", lineWidth: 3 });
    context.strokeRect(square.left * scale, square.top * scale, side() * scale, side() * scale);
  }
}

function drag(event) {
  if (!square || !(event.buttons & 1)) return;
  const { left, top, width: wide, height: high } = byId("marks").getBoundingClientRect();
  heat = null;
  square = place({
    top: ((event.clientY - top) / high) * height - side() / 2,
    left: ((event.clientX - left) / wide) * width - side() / 2,
  });
  drawSquare();
  return answer();
}

// Put the square at each position of a grid, and show where the probability of the answer falls.
// The grid has as many positions as can be computed in `PATIENCE`.
async function slide() {
  const whole = shown.results.at(-1);
  const best = whole.indexOf(Math.max(...whole));
  const start = performance.now();
  const own = ++turn;
  await compute(net, shown.input);
  const across = Math.max(5, Math.min(16, Math.floor((PATIENCE / (performance.now() - start)) ** 0.5)));
  const found = { count: across, drops: [] };
  for (let i = 0; i < across ** 2; i++) {
    const [row, column] = [Math.floor(i / across), i % across];
    const centre = { top: ((row + 0.5) * height) / across, left: ((column + 0.5) * width) / across };
    const corner = place({ top: centre.top - side() / 2, left: centre.left - side() / 2 });
    const results = await compute(net, covered(corner), () => own !== turn);
    if (!results || own !== turn) return;
    found.drops.push(whole[best] - results.at(-1)[best]);
    if (column === across - 1) {
      heat = found;
      drawSquare();
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  showAnswer(whole, null);
}

byId("cover").onclick = () => covering(byId("covering").hidden);
byId("side").oninput = () => {
  heat = null;
  square = place(square);
  drawSquare();
  if (shown.input) answer();
};
byId("slide").onclick = () => shown.input && slide();
byId("marks").onpointerdown = (event) => {
  if (square) byId("marks").setPointerCapture(event.pointerId);
  drag(event);
};
byId("marks").onpointermove = drag;

// Start of the page: choose the first test image or, if there is none, the drawing pad.
if (height < 128) for (const id of ["picture", "inset"]) byId(id).classList.add("pixels");
byId("stage").style.aspectRatio = `${width} / ${height}`;
if (net.samples.length) byId("samples").firstChild.click();
else if (net.drawn) drawing(true);
