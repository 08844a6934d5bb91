// Images, and the preprocessing ops of the run. An image is {height, width, channels, values,
// whole}. Before preprocessing, its values are from 0 to 255. If `whole`, they are whole numbers,
// and are rounded after resizing.

const { fround, min, max, floor, ceil } = Math;

class Fault extends Error {} // error whose message is shown on the page

const image = (height, width, channels, values, whole) => ({ height, width, channels, values, whole });

// Return the image in a file or a canvas, drawn on white, with 1 or 3 channels.
async function decodedImage(source, channels, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(source);
  } catch {
    throw new Fault(`This browser cannot read ${name} as an image; use a JPEG, PNG or WebP file.`);
  }
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const values = new Float32Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = [pixels[4 * i], pixels[4 * i + 1], pixels[4 * i + 2]];
    if (channels === 3) values.set([r, g, b], 3 * i);
    else values[i] = (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16; // Pillow's formula for grey
  }
  return image(height, width, channels, values, true);
}

// Functions from (image, arguments of the op, weights) to an image, by the name of the op.
const OPS = {
  resize: (x, { size, antialias }) => resized(x, size, size, antialias),

  resize_shorter(x, { size, antialias }) {
    const shorter = min(x.height, x.width);
    const [height, width] = [x.height, x.width].map((side) => floor((side * size) / shorter));
    return resized(x, height, width, antialias);
  },

  centre_crop(x, { size }) {
    if (min(x.height, x.width) < size)
      throw new Fault(
        `The run crops ${size}×${size} pixels from an image, but this image has only ` +
          `${x.width}×${x.height}; use a larger image.`,
      );
    return cropped(x, floor((x.height - size) / 2), floor((x.width - size) / 2), size, size);
  },

  pad(x, { size }) {
    const y = blank(x, x.height + 2 * size, x.width + 2 * size);
    const line = x.width * x.channels;
    for (let row = 0; row < x.height; row++)
      y.values.set(
        x.values.subarray(row * line, (row + 1) * line),
        ((row + size) * y.width + size) * x.channels,
      );
    return y;
  },

  scale(x, { mean, std, reverse }) {
    const c = x.channels;
    return changed(x, (value, i) => {
      const given = reverse ? x.values[i - (i % c) + c - 1 - (i % c)] : value;
      return fround(given - mean[(i % c) % mean.length]) / std[(i % c) % std.length];
    });
  },

  subtract_pixel_mean(x, { mean, shape }, weights) {
    const values = weights(mean);
    if (shape[0] === x.height && shape[1] === x.width) return changed(x, (v, i) => v - values[i]);
    const level = new Float64Array(x.channels);
    values.forEach((v, i) => (level[i % x.channels] += v / (shape[0] * shape[1])));
    return changed(x, (v, i) => v - level[i % x.channels]);
  },

  global_contrast(x, { scale }) {
    const mean = x.values.reduce((a, b) => a + b, 0) / x.values.length;
    const length = Math.sqrt(x.values.reduce((a, b) => a + (b - mean) ** 2, 0)) / scale;
    return changed(x, (v) => (v - mean) / (length < 1e-8 ? 1 : length));
  },

  zca(x, { mean, matrix }, weights) {
    const [means, values, length] = [weights(mean), weights(matrix), x.values.length];
    const y = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      const own = x.values[i] - means[i];
      for (let j = 0; j < length; j++) y[j] += own * values[i * length + j];
    }
    return changed(x, (v, i) => y[i]);
  },
};

const GEOMETRY = ["resize", "resize_shorter", "centre_crop", "pad"];

function prepared(x, rows, weights) {
  return rows.reduce((made, row) => OPS[row.op](made, row, weights), x);
}

function changed(x, change) {
  return image(x.height, x.width, x.channels, x.values.map(change), false);
}

function blank(x, height, width) {
  return image(height, width, x.channels, new Float32Array(height * width * x.channels), x.whole);
}

function cropped(x, top, left, height, width) {
  const y = blank(x, height, width);
  for (let row = 0; row < height; row++) {
    const at = ((row + top) * x.width + left) * x.channels;
    y.values.set(x.values.subarray(at, at + width * x.channels), row * width * x.channels);
  }
  return y;
}

// Resize as TensorFlow does: with a triangle filter, or by linear interpolation if not `antialias`.
function resized(x, height, width, antialias = true) {
  if (x.height === height && x.width === width) return x;
  const taps = antialias ? filtered : between;
  const vertical = taps(x.height, height);
  const horizontal = taps(x.width, width);
  const line = blank(x, height, x.width);
  const step = x.width * x.channels;
  vertical.forEach((some, row) => {
    for (const [from, weight] of some)
      for (let i = 0; i < step; i++)
        line.values[row * step + i] += fround(weight * x.values[from * step + i]);
  });
  const y = blank(x, height, width);
  for (let row = 0; row < height; row++)
    horizontal.forEach((some, column) => {
      const to = (row * width + column) * x.channels;
      for (const [from, weight] of some)
        for (let c = 0; c < x.channels; c++)
          y.values[to + c] += fround(weight * line.values[row * step + from * x.channels + c]);
    });
  if (x.whole) y.values.forEach((value, i) => (y.values[i] = floor(value + 0.5)));
  return y;
}

// Return, for each pixel of the result along one axis, its input pixels and their weights. The
// rounding to float32 is that of TensorFlow's ScaleAndTranslate.
function filtered(length, size) {
  const step = fround(1 / fround(size / length));
  const reach = max(step, 1);
  const inverse = fround(1 / reach);
  return Array.from({ length: size }, (_, i) => {
    const centre = fround((i + 0.5) * step);
    const first = min(max(ceil(fround(fround(centre - reach) - 0.5)), 0), length - 1);
    const last = min(max(floor(fround(fround(centre + reach) - 0.5)), 0), length - 1);
    const some = [];
    let sum = 0;
    for (let at = first; at <= last; at++) {
      const weight = max(0, fround(1 - Math.abs(fround(fround(at + 0.5 - centre) * inverse))));
      some.push([at, weight]);
      sum = fround(sum + weight);
    }
    const share = fround(1 / sum);
    return some.map(([at, weight]) => [at, fround(weight * share)]);
  });
}

// Return, for each pixel of the result along one axis, its two input pixels and their weights.
function between(length, size) {
  const step = fround(length / size);
  return Array.from({ length: size }, (_, i) => {
    const place = fround(fround((i + 0.5) * step) - 0.5);
    const low = floor(place);
    const share = fround(place - low);
    return [
      [max(low, 0), 1 - share],
      [min(ceil(place), length - 1), share],
    ];
  });
}

// Crop the centre of an image to the aspect ratio of a size, and resize it to this size.
function fitted(x, height, width) {
  const scale = min(x.height / height, x.width / width);
  const [high, wide] = [height, width].map((side) => max(1, floor(side * scale)));
  const middle = cropped(x, (x.height - high) >> 1, (x.width - wide) >> 1, high, wide);
  return resized(middle, height, width);
}

// Convert a drawing to an image like those of the run: the longer side of the ink is `share` of the
// side of the image. Return null if there is no ink.
function fromDrawing(drawing, [height, width], share, paper, ink) {
  let [top, left, bottom, right] = [Infinity, Infinity, -1, -1];
  drawing.values.forEach((value, i) => {
    if (value > 127) return; // black ink on white
    const [row, column] = [floor(i / drawing.width), i % drawing.width];
    [top, left] = [min(top, row), min(left, column)];
    [bottom, right] = [max(bottom, row), max(right, column)];
  });
  if (bottom < 0) return null;
  const side = ceil(max(bottom - top + 1, right - left + 1) / share);
  const [row, column] = [(top + bottom + 1 - side) >> 1, (left + right + 1 - side) >> 1];
  const square = image(side, side, 1, new Float32Array(side * side).fill(paper), true);
  for (let i = max(top, row); i <= min(bottom, row + side - 1); i++)
    for (let j = max(left, column); j <= min(right, column + side - 1); j++) {
      const light = drawing.values[i * drawing.width + j] / 255;
      square.values[(i - row) * side + j - column] = ink + (paper - ink) * light;
    }
  return resized(square, height, width);
}
