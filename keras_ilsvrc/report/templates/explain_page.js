// State of the page, choice of an image, and the answer of the network.

const byId = (id) => document.getElementById(id);
const [TOP, LONG] = [5, 10]; // the answer shows TOP classes, or all if there are at most LONG
const PATIENCE = 6000; // milliseconds that `slide` may take
const GREY = 128; // grey level of the square, before preprocessing

const net = JSON.parse(byId("page").textContent);
net.weights = decoded(byId("weights").textContent, net.half);
net.colour = scaleOfColours();

// The shown picture, the network's input and results for it, and its true class.
const shown = { picture: null, input: null, results: null, truth: null };
let [turn, selected, square, heat] = [0, null, null, null];

const rows = { all: net.rows, rest: net.rows.slice(net.lead) };
const shapes = (list) => list.filter((row) => GEOMETRY.includes(row.op));
const arithmetic = (list) => list.filter((row) => !GEOMETRY.includes(row.op));
const [height, width, channels] = net.shape;
const grey = prepared(
  image(height, width, channels, new Float32Array(height * width * channels).fill(GREY), true),
  arithmetic(net.rows),
  net.weights,
).values;

net.paint = (canvas) => paint(canvas, shown.picture);
net.mark = (window_) => {
  if (!square && !heat) frame(byId("marks"), window_, height, width);
};

function paint(canvas, x) {
  [canvas.width, canvas.height] = [width, height];
  if (!x) return;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(x.width, x.height);
  for (let i = 0; i < x.width * x.height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = x.values[i * channels + (c % channels)];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

function complain(text) {
  byId("fault").textContent = text ?? "";
  byId("fault").hidden = !text;
}

// Preprocess an image by the ops in `list`, show it, and return the probabilities of the classes.
async function see(x, list, truth = null) {
  const fits = (one) => one.height === height && one.width === width;
  let input;
  try {
    input = prepared(x, list, net.weights);
  } catch (error) {
    if (!net.size || !(error instanceof Fault)) throw error;
  }
  if (!input || !fits(input)) {
    x = fitted(x, ...(net.size ?? [height, width]));
    input = prepared(x, list, net.weights);
    if (!fits(input))
      throw new Fault(
        `After preprocessing, this image has ${input.width}×${input.height} pixels, but the ` +
          `network takes ${width}×${height}; use an image of another size.`,
      );
  }
  complain(null);
  byId("empty").hidden = true;
  const picture = prepared(x, shapes(list));
  Object.assign(shown, { picture, input: input.values, results: null, truth });
  [square, heat] = [square && place(square), null];
  net.paint(byId("picture"));
  net.paint(byId("inset"));
  return answer();
}

// Run the network on the shown image and, if there is a grey square, on the covered image.
async function answer() {
  const own = ++turn;
  const stopped = () => own !== turn;
  const whole = shown.results ?? (await compute(net, shown.input, stopped));
  if (!whole) return null;
  shown.results = whole;
  const results = square ? await compute(net, covered(square), stopped) : whole;
  if (!results) return null;
  const probabilities = results.at(-1);
  showAnswer(probabilities, square ? whole.at(-1) : null);
  for (const layer of layers) layer.take(results[layer.place], shown.input);
  if (!selected) net.mark(null);
  return Array.from(probabilities);
}

function showAnswer(probabilities, before) {
  const order = Array.from(before ?? probabilities, (p, i) => [p, i]).sort((a, b) => b[0] - a[0]);
  const some = order.slice(0, net.classes.length <= LONG ? LONG : TOP).map(([, i]) => i);
  if (some.length > TOP) some.sort((a, b) => a - b);
  const best = probabilities.indexOf(Math.max(...probabilities));
  byId("answer").replaceChildren(
    ...some.map((i) => {
      const share = made("span", { className: "share" });
      share.style.width = `${100 * probabilities[i]}%`;
      const item = made("li", {}, share);
      item.classList.toggle("long", some.length > TOP);
      item.classList.toggle("best", i === best);
      if (before) {
        const mark = made("span", { className: "before", title: "without the square" });
        mark.style.left = `calc(${100 * before[i]}% - 2px)`;
        item.append(mark);
      }
      const text = `${(100 * probabilities[i]).toFixed(1)} %`;
      item.append(made("span", { textContent: net.classes[i] }), made("span", { textContent: text }));
      return item;
    }),
  );
  const { truth } = shown;
  byId("truth").textContent =
    truth === null ? "" : `A test image of ${net.classes[truth]}: the answer is ${best === truth ? "right" : "wrong"}.`;
}

// Rows of layers. A row is drawn when it comes into view.
const layers = net.operations
  .map((op, index) => (op.shown ? index : null))
  .filter((index) => index !== null)
  .map((index) => new Layer(net, index, choose));
function choose(layer) {
  if (selected && selected !== layer) {
    const before = selected;
    selected = null;
    before.select(null);
  }
  selected = layer;
}
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      target.layer.visible = isIntersecting;
      if (isIntersecting && target.layer.stale) target.layer.draw();
    }
  },
  { rootMargin: "400px" },
);
for (const layer of layers) {
  layer.node.layer = layer;
  byId("layers").append(layer.node);
  watcher.observe(layer.node);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  net.colour = scaleOfColours();
  colourKey();
  for (const layer of layers) layer.draw();
});
function colourKey() {
  const parts = [-1, -0.5, 0, 0.5, 1].map((value) => `rgb(${net.colour(value).join(" ")})`);
  document.querySelector(".key .scale").style.background = `linear-gradient(90deg, ${parts.join(", ")})`;
}
colourKey();

// Images to choose from: test images of the run, opened files and dropped files.
async function open(source, list, truth, name) {
  try {
    await see(await decodedImage(source, channels, name), list, truth);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    complain(error.message);
  }
}

function press(button) {
  for (const one of byId("samples").children) one.setAttribute("aria-pressed", String(one === button));
}

for (const { source, label } of net.samples) {
  const picture = made("img", { src: source, alt: "", className: height < 64 ? "pixels" : "" });
  const title = label === null ? "A test image" : `A test image of ${net.classes[label]}`;
  const button = made("button", { type: "button", title }, picture);
  button.onclick = async () => {
    drawing(false);
    press(button);
    await picture.decode();
    await open(picture, rows.rest, label, title);
  };
  byId("samples").append(button);
}

async function take(file) {
  drawing(false);
  press(null);
  await open(file, rows.all, null, file.name);
}

byId("choose").onclick = () => byId("file").click();
byId("file").onchange = ({ target }) => {
  if (target.files[0]) take(target.files[0]);
  target.value = "";
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
};
document.ondragleave = () => document.body.classList.remove("dropping");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) take(file);
  else complain("No file was dropped; drop an image file from a folder.");
};
