// Rows of the page: for each layer, its maps as pictures, and details of a clicked map.

const FIRST = 16; // number of maps shown at first
const ACROSS = 8; // number of maps in a line
const UNITS = 128; // number of units shown at first
const BRIGHT = 0.995; // fraction of values inside the colour scale; larger values are clipped

const made = (tag, attributes = {}, ...parts) => {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...parts);
  return node;
};

const comma = (number) => number.toLocaleString("en");

// Return the colour (red, green, blue) of a name in the style sheet.
function colourOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

// Return a function from a value to a colour: red for -1, the page's grey for 0, blue for 1.
function scaleOfColours() {
  const [zero, blue, red, ink] = ["--raised", "--blue", "--red", "--ink"].map(colourOf);
  const stops = [ink.map((v, i) => (v + red[i]) / 2), red, zero, blue, ink.map((v, i) => (v + blue[i]) / 2)];
  const table = Array.from({ length: 513 }, (_, number) => {
    const place = (number / 512) * 4;
    const low = Math.min(3, Math.floor(place));
    return stops[low].map((v, i) => v + (stops[low + 1][i] - v) * (place - low));
  });
  return (value) => table[Math.round((Math.max(-1, Math.min(1, value)) + 1) * 256)];
}

// Return the absolute value at the ends of a layer's colour scale.
function endOf(values) {
  const step = Math.max(1, Math.floor(values.length / 20000));
  const some = values.filter((_, i) => i % step === 0).map(Math.abs).sort();
  return some[Math.ceil(some.length * BRIGHT) - 1] || some.at(-1) || 1;
}

// Draw one map of a result on a canvas, with one pixel for each value.
function drawMap(canvas, values, shape, number, end, colour) {
  const [height, width, channels] = maps(shape);
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data.set(colour(values[i * channels + number] / end), 4 * i);
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

// Draw the frame of a window (top, left, height, width) on a canvas over an image, and darken the
// rest of the image if `darken`.
function frame(canvas, window_, height, width, darken = true) {
  const scale = Math.max(1, Math.round(400 / Math.max(height, width)));
  [canvas.width, canvas.height] = [width * scale, height * scale];
  if (!window_) return;
  const context = canvas.getContext("2d");
  const [top, left, high, wide] = window_.map((one) => one * scale);
  if (darken) {
    context.fillStyle = "rgb(0 0 0 / 45%)";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.clearRect(left, top, wide, high);
  }
  for (const [colour, line] of [["white", 6], ["#2563a8", 3]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    const x = Math.max(line / 2, left);
    const y = Math.max(line / 2, top);
    const right = Math.min(canvas.width - line / 2, left + wide);
    const bottom = Math.min(canvas.height - line / 2, top + high);
    context.strokeRect(x, y, right - x, bottom - y);
  }
}

// Row of the page for one layer: the operation `op`, with index `place` in `net.operations`.
class Layer {
  constructor(net, place, onSelect) {
    Object.assign(this, { net, place, op: net.operations[place], onSelect });
    const [height, width, channels] = maps(this.op.shape);
    this.single = height * width === 1;
    this.most = Math.min(channels, this.single ? UNITS : FIRST);
    this.maps = made("div", { className: this.single ? "maps units" : "maps" });
    this.maps.style.setProperty("--across", Math.min(channels, ACROSS));
    this.more = made("button", { type: "button", className: "more" });
    this.more.onclick = () => {
      this.most = channels;
      this.fill();
      this.draw();
    };
    this.node = made(
      "section",
      { className: "layer" },
      made("h2", { textContent: this.op.name }),
      made("span", { className: "what", textContent: this.words() }),
      this.maps,
      this.more,
    );
    this.fill();
  }

  words() {
    const { op, net, place } = this;
    const [height, width, channels] = maps(op.shape);
    const parts = [op.title];
    parts.push(this.single ? `${comma(channels)} units` : `${channels} maps of ${height}×${width}`);
    if (op.span && !this.whole()) parts.push(`a unit sees ${op.span[1].join("×")} pixels`);
    const from = op.inputs.map((i) => this.source(i));
    if (from.length > 1 || from[0] !== this.source(place - 1))
      parts.push(`from ${from.map((i) => (i < 0 ? "the image" : net.operations[i].name)).join(" and ")}`);
    return parts.join(" · ");
  }

  // Return `index` if that layer has a row, otherwise the index of the layer before it that has
  // one; -1 is the image.
  source(index) {
    const op = this.net.operations[index];
    return !op || op.shown ? index : this.source(op.inputs[0]);
  }

  whole() {
    return this.op.span[1].every((side, axis) => side >= this.net.shape[axis]);
  }

  fill() {
    const channels = this.op.shape.at(-1);
    while (this.maps.children.length < this.most) {
      const number = this.maps.children.length;
      const label = `${this.single ? "unit" : "map"} ${number} of ${this.op.name}`;
      const button = made("button", { type: "button", title: label }, made("canvas", { className: "pixels" }));
      button.setAttribute("aria-pressed", "false");
      button.onclick = () => this.values && this.select(this.selected === number ? null : number);
      this.maps.append(button);
    }
    this.more.hidden = this.most >= channels;
    this.more.textContent = `show all ${comma(channels)}`;
  }

  // Take the results for another image; they are drawn when the row is visible.
  take(values, input) {
    Object.assign(this, { values, input, stale: true });
    if (this.visible) this.draw();
  }

  // Remove the results of an image.
  clear() {
    this.values = null;
    for (const { firstChild: canvas } of this.maps.children)
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  draw() {
    if (!this.values) return;
    this.stale = false;
    this.end = endOf(this.values);
    const colour = this.net.colour;
    [...this.maps.children].forEach((button, number) =>
      drawMap(button.firstChild, this.values, this.op.shape, number, this.end, colour),
    );
    if (this.selected != null) this.describe();
  }

  select(number) {
    this.selected = number;
    [...this.maps.children].forEach((button, own) =>
      button.setAttribute("aria-pressed", String(own === number)),
    );
    this.detail?.remove();
    this.detail = null;
    this.onSelect(number == null ? null : this);
    if (number != null) this.describe();
    else this.net.mark(null);
  }

  // Show the selected map, the receptive field of its strongest unit, and its strongest images.
  describe() {
    const { op, selected, values, single } = this;
    const [height, width, channels] = maps(op.shape);
    let best = 0;
    for (let i = 1; i < height * width; i++)
      if (values[i * channels + selected] > values[best * channels + selected]) best = i;
    const text = made("p");
    const large = made("canvas", { className: "pixels" });
    const cross = made("canvas");
    const [image, marks] = [made("canvas", { className: "pixels" }), made("canvas")];
    this.net.paint(image);
    drawMap(large, values, op.shape, selected, this.end, this.net.colour);
    const show = (unit, which) => {
      const [row, column] = [Math.floor(unit / width), unit % width];
      const window_ = this.field(row, column);
      const value = values[unit * channels + selected].toPrecision(3);
      const at = single ? "" : `, ${which} at row ${row}, column ${column}`;
      const sees = window_ ? ` It sees ${this.seen(window_)}.` : "";
      text.textContent = `${single ? "Unit" : "Map"} ${selected} of ${op.name}${at}: ${value}.${sees}`;
      frame(cross, single ? null : [row, column, 1, 1], height, width, false);
      frame(marks, window_, ...this.net.shape);
      this.net.mark(window_);
    };
    const box = made("div", { className: "large map" }, large, cross);
    box.onpointermove = box.onpointerdown = (event) => {
      const { left, top, width: wide, height: high } = box.getBoundingClientRect();
      const column = Math.min(width - 1, Math.floor(((event.clientX - left) / wide) * width));
      const row = Math.min(height - 1, Math.floor(((event.clientY - top) / high) * height));
      if (row >= 0 && column >= 0) show(row * width + column, "a unit");
    };
    box.onpointerleave = () => show(best, "the strongest unit");
    const caption = (words) => made("figcaption", { textContent: words });
    const pair = made("div", { className: "pair" });
    if (!single) pair.append(made("figure", {}, box, caption("The map. Move over it to choose a unit.")));
    pair.append(
      made("figure", {}, made("div", { className: "large" }, image, marks), caption("The part of the image that the unit sees.")),
      this.strongest(),
    );
    const detail = made("div", { className: "detail" }, text, pair);
    if (this.detail) this.detail.replaceWith(detail);
    else this.node.append(detail);
    this.detail = detail;
    show(best, "the strongest unit");
  }

  // Return the receptive field of a unit (top, left, height, width) in pixels; null if unknown.
  field(row, column) {
    if (!this.op.span) return null;
    const [start, size, stride] = this.op.span;
    const at = [row, column].map((one, axis) => start[axis] + one * stride[axis]);
    const first = at.map((one) => Math.max(0, one));
    const last = at.map((one, axis) => Math.min(this.net.shape[axis], one + size[axis]));
    return [...first, last[0] - first[0], last[1] - first[1]];
  }

  seen([, , height, width]) {
    const whole = height >= this.net.shape[0] && width >= this.net.shape[1];
    return whole ? "the whole image" : `${height}×${width} pixels of the image`;
  }

  // Return a figure of the map's strongest test images and their projections.
  strongest() {
    const found = this.op.strongest;
    if (!found || this.selected >= found.maps) {
      const why = found ? `Strongest images are shown for the first ${found.maps} maps only.` : "";
      return made("p", { className: "hint", textContent: why });
    }
    const box = made("div", { className: "best" });
    const sprite = new Image();
    sprite.onload = () => {
      const [side, high] = [sprite.width / (2 * found.count), sprite.height / found.maps];
      for (let number = 0; number < 2 * found.count; number++) {
        const canvas = made("canvas", { width: side, height: high, className: side < 48 ? "pixels" : "" });
        canvas.getContext("2d").drawImage(sprite, -number * side, -this.selected * high);
        box.append(canvas);
      }
    };
    sprite.src = found.source;
    box.style.gridTemplateColumns = `repeat(${found.count}, auto)`;
    const words =
      "Above: the parts of test images that excite the map most. Below: their deconvnet projections.";
    return made("figure", { className: "best-of" }, box, made("figcaption", { textContent: words }));
  }
}
