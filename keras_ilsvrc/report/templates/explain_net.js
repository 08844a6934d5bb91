// Computation of the network. A result is a Float32Array with channels last: the value of channel c
// at row y and column x of maps with W columns and C channels is result[(y * W + x) * C + c].

const BLOCK = 1 << 18; // maximum number of patch values that are multiplied at a time (1 MB)
const SLICE = 40; // milliseconds of work after which the browser can handle other events

const ACTIVATIONS = {
  relu: (x) => (x > 0 ? x : 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  tanh: Math.tanh,
  scaled_tanh: (x) => 1.7159 * Math.tanh((2 / 3) * x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  silu: (x) => x / (1 + Math.exp(-x)),
};

const count = (shape) => shape.reduce((a, b) => a * b, 1);
const maps = (shape) => (shape.length === 3 ? shape : [1, 1, shape[0]]);

// Functions from (operation, inputs, shapes of the inputs, weights) to the result, by kind of
// operation.
const KINDS = {
  same: (op, [x]) => x.slice(),

  dense(op, [x], shapes, weights) {
    const [units] = op.shape;
    const kernel = packed(op, weights, x.length, units, 0);
    const y = new Float32Array(units);
    multiply(x, 1, x.length, kernel, units, y, 0, units);
    return y;
  },

  conv(op, [x], [[height, width, channels]], weights) {
    const [rows, columns, filters] = op.shape;
    const [high, wide] = op.window;
    const [own, units] = [channels / op.groups, filters / op.groups];
    const length = high * wide * own;
    const pixels = rows * columns;
    const plain = high * wide === 1 && op.groups === 1 && op.strides.every((s) => s === 1);
    const together = plain ? pixels : Math.max(1, Math.min(pixels, Math.floor(BLOCK / length)));
    const patches = plain ? x : new Float32Array(together * length);
    const y = new Float32Array(pixels * filters);
    for (let group = 0; group < op.groups; group++) {
      const kernel = packed(op, weights, length, units, group);
      for (let first = 0; first < pixels; first += together) {
        const some = Math.min(together, pixels - first);
        if (!plain) cut(op, x, height, width, channels, group * own, own, first, some, patches);
        multiply(patches, some, length, kernel, units, y, first * filters + group * units, filters);
      }
    }
    return y;
  },

  max: (op, [x], [from]) => pooled(op, x, from, true),
  average: (op, [x], [from]) => pooled(op, x, from, false),

  pad(op, [x], [from]) {
    const y = new Float32Array(count(op.shape));
    const [top, left, before] = op.before;
    const [height, width, channels] = from;
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const to = ((row + top) * op.shape[1] + column + left) * op.shape[2] + before;
        const at = (row * width + column) * channels;
        y.set(x.subarray(at, at + channels), to);
      }
    return y;
  },

  slice(op, [x], [from]) {
    const [rows, columns, channels] = op.shape;
    const y = new Float32Array(count(op.shape));
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const at = (row * op.strides[0] * from[1] + column * op.strides[1]) * from[2];
        y.set(x.subarray(at, at + channels), (row * columns + column) * channels);
      }
    return y;
  },

  add(op, inputs) {
    const y = inputs[0].slice();
    for (const x of inputs.slice(1)) for (let i = 0; i < y.length; i++) y[i] += x[i];
    return y;
  },

  multiply(op, inputs) {
    const y = inputs[0].slice();
    for (const x of inputs.slice(1)) for (let i = 0; i < y.length; i++) y[i] *= x[i];
    return y;
  },

  concatenate(op, inputs, shapes) {
    const y = new Float32Array(count(op.shape));
    const channels = op.shape.at(-1);
    let before = 0;
    inputs.forEach((x, number) => {
      const own = shapes[number].at(-1);
      for (let at = 0, to = before; at < x.length; at += own, to += channels)
        for (let c = 0; c < own; c++) y[to + c] = x[at + c];
      before += own;
    });
    return y;
  },

  lrn(op, [x]) {
    const channels = op.shape.at(-1);
    const group = channels / op.groups;
    const reach = (op.size - 1) / 2;
    const y = new Float32Array(x.length);
    for (let at = 0; at < x.length; at++) {
      const c = at % channels;
      const first = c - (c % group);
      const low = Math.max(c - reach, first);
      const high = Math.min(c + reach, first + group - 1);
      let sum = 0;
      for (let i = at - c + low; i <= at - c + high; i++) sum += x[i] * x[i];
      y[at] = x[at] * (op.k + op.alpha * sum) ** -op.beta;
    }
    return y;
  },

  codes(op, [x], shapes, weights) {
    const codes = weights(op.weights.codes);
    return Float32Array.from({ length: op.shape[0] }, (_, unit) => {
      let sum = 0;
      for (let i = 0; i < x.length; i++) sum += (x[i] - codes[unit * x.length + i]) ** 2;
      return -sum;
    });
  },
};

// Copy the windows of some output pixels into the rows of a matrix. Values outside the maps are 0.
function cut(op, x, height, width, channels, from, own, first, some, patches) {
  const [high, wide] = op.window;
  const columns = op.shape[1];
  let to = 0;
  for (let pixel = first; pixel < first + some; pixel++) {
    const top = Math.floor(pixel / columns) * op.strides[0] - op.before[0];
    const left = (pixel % columns) * op.strides[1] - op.before[1];
    for (let i = 0; i < high; i++) {
      const row = top + i * op.dilation[0];
      for (let j = 0; j < wide; j++) {
        const column = left + j * op.dilation[1];
        if (row < 0 || row >= height || column < 0 || column >= width) {
          for (let c = 0; c < own; c++) patches[to++] = 0;
        } else {
          let at = (row * width + column) * channels + from;
          for (let c = 0; c < own; c++) patches[to++] = x[at++];
        }
      }
    }
  }
}

// Return the kernel of a group in the layout of `multiply`: the weights of four units side by side.
function packed(op, weights, length, units, group) {
  op.packed ??= [];
  if (!op.packed[group]) {
    const kernel = weights(op.weights.kernel);
    const filters = op.shape.at(-1);
    const made = new Float32Array(Math.ceil(units / 4) * length * 4);
    for (let k = 0; k < length; k++)
      for (let u = 0; u < units; u++)
        made[((u >> 2) * length + k) * 4 + (u & 3)] = kernel[k * filters + group * units + u];
    op.packed[group] = made;
  }
  return op.packed[group];
}

// Multiply `some` rows of `length` values by a packed kernel; two rows and four units at a time.
function multiply(x, some, length, kernel, units, y, first, step) {
  for (let unit = 0; unit < units; unit += 4) {
    const start = unit * length;
    const most = Math.min(4, units - unit);
    for (let row = 0; row < some; row += 2) {
      const one = row * length;
      const two = row + 1 < some ? one + length : one;
      let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let k = 0, w = start; k < length; k++, w += 4) {
        const a = x[one + k];
        const b = x[two + k];
        const w0 = kernel[w];
        const w1 = kernel[w + 1];
        const w2 = kernel[w + 2];
        const w3 = kernel[w + 3];
        a0 += a * w0;
        a1 += a * w1;
        a2 += a * w2;
        a3 += a * w3;
        b0 += b * w0;
        b1 += b * w1;
        b2 += b * w2;
        b3 += b * w3;
      }
      const to = first + row * step + unit;
      const [sums, others] = [[a0, a1, a2, a3], [b0, b1, b2, b3]];
      for (let u = 0; u < most; u++) {
        y[to + u] = sums[u];
        if (two > one) y[to + step + u] = others[u];
      }
    }
  }
}

// Return the maximum or the average over each window, without the pixels outside the maps.
function pooled(op, x, [height, width, channels], largest) {
  const [rows, columns] = maps(op.shape);
  const y = new Float32Array(rows * columns * channels);
  for (let row = 0; row < rows; row++) {
    const top = row * op.strides[0] - op.before[0];
    for (let column = 0; column < columns; column++) {
      const left = column * op.strides[1] - op.before[1];
      const to = (row * columns + column) * channels;
      if (largest) y.fill(-Infinity, to, to + channels);
      let seen = 0;
      for (let i = Math.max(top, 0); i < Math.min(top + op.window[0], height); i++)
        for (let j = Math.max(left, 0); j < Math.min(left + op.window[1], width); j++) {
          const at = (i * width + j) * channels;
          seen++;
          for (let c = 0; c < channels; c++) {
            const value = x[at + c];
            if (!largest) y[to + c] += value;
            else if (value > y[to + c]) y[to + c] = value;
          }
        }
      if (!largest) for (let c = 0; c < channels; c++) y[to + c] /= seen;
    }
  }
  return y;
}

// Multiply by the scale of each channel, add its bias, and apply the activation, in place.
function finish(op, y, weights) {
  const channels = op.shape.at(-1);
  for (const [name, times] of [["scale", true], ["bias", false]]) {
    if (!op.weights[name]) continue;
    const values = weights(op.weights[name]);
    for (let i = 0; i < y.length; i++)
      if (times) y[i] *= values[i % channels];
      else y[i] += values[i % channels];
  }
  if (op.activation === "softmax") {
    for (let at = 0; at < y.length; at += channels) {
      const part = y.subarray(at, at + channels);
      const most = part.reduce((a, b) => Math.max(a, b), -Infinity);
      part.forEach((value, i) => (part[i] = Math.exp(value - most)));
      const sum = part.reduce((a, b) => a + b, 0);
      part.forEach((value, i) => (part[i] = value / sum));
    }
  } else if (op.activation !== "linear") {
    const activation = ACTIVATIONS[op.activation];
    for (let i = 0; i < y.length; i++) y[i] = activation(y[i]);
  }
  return y;
}

// Return the results of all operations for one image, or null if `stopped()` becomes true.
async function compute(net, image, stopped = () => false) {
  const results = [];
  let since = performance.now();
  for (const op of net.operations) {
    const inputs = op.inputs.map((i) => (i < 0 ? image : results[i]));
    const shapes = op.inputs.map((i) => (i < 0 ? net.shape : net.operations[i].shape));
    results.push(finish(op, KINDS[op.kind](op, inputs, shapes, net.weights), net.weights));
    if (performance.now() - since > SLICE) {
      await new Promise((resolve) => setTimeout(resolve));
      if (stopped()) return null;
      since = performance.now();
    }
  }
  return results;
}

// Decode base-64 text to float16 or float32 values. Return a function from [index of the first
// value, number of values] to these values.
function decoded(text, half) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  let values = new Float32Array(half ? 0 : bytes.buffer);
  if (half) {
    const known = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
      const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
      const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
      return bits >> 15 ? -size : size;
    });
    values = Float32Array.from(new Uint16Array(bytes.buffer), (bits) => known[bits]);
  }
  return ([first, number]) => values.subarray(first, first + number);
}
