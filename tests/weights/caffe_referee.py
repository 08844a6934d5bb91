"""Caffe's layers in NumPy, for comparison with our nets: channels first, random weights.

A net is a text with one line per layer: the name of the layer, its type as in a prototxt file, its
parameters, and after `<` the layers whose outputs it takes. Without `<`, it takes the output of the
layer in the line before:

    conv1  Convolution  num_output=96 kernel_size=11 stride=4
    relu1  ReLU
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Referee:
    """A net in Caffe's arithmetic, whose blobs are drawn when the first batch passes.

    `blobs` is {layer: its arrays}, in Caffe's order and shapes. Statistics of batch normalisation
    are near those of the first batch, so that signals stay alive.
    """

    def __init__(self, text, seed=0):
        self.layers = [parse(line) for line in text.strip().splitlines()]
        self.blobs, self.random = {}, np.random.default_rng(seed)

    def __call__(self, data):
        """Returns {layer: output} for a batch (images, channels, rows, columns), in float64."""
        tops, last = {"data": data.astype("float64")}, "data"
        for name, kind, options, bottoms in self.layers:
            xs = [tops[bottom] for bottom in bottoms or [last]]
            if kind in BLOBS and name not in self.blobs:
                self.blobs[name] = BLOBS[kind](self.random, xs[0], options)
            tops[name] = LAYERS[kind](*xs, blobs=self.blobs.get(name), **options)
            last = name
        return tops


def parse(line):
    """A layer: name, type, parameters, and the layers whose outputs it takes."""
    said, _, bottoms = line.partition("<")
    name, kind, *options = said.split()
    pairs = (option.split("=") for option in options)
    return name, kind, {key: _value(text) for key, text in pairs}, bottoms.split()


def shapes_of(text, size):
    """{layer: shapes of its blobs} for images of a size, without any arithmetic."""
    tops, last, found = {"data": (3, size)}, "data", {}
    for name, kind, options, bottoms in map(parse, text.strip().splitlines()):
        maps, side = tops[(bottoms or [last])[0]]
        inside = {"Convolution": maps // options.get("group", 1), "InnerProduct": maps * side**2}
        made, kernel = options.get("num_output"), options.get("kernel_size")
        if kind == "Concat":
            maps = sum(tops[bottom][0] for bottom in bottoms)
        elif kind == "Pooling":
            side = 1 if kernel is None else _pooled(side, kernel, **_places(options))
        elif kind in inside:
            square = (kernel, kernel) if kind == "Convolution" else ()
            found[name] = [(made, inside[kind], *square)]
            found[name] += [(made,)] if options.get("bias_term") != "false" else []
            maps, side = made, _convolved(side, kernel, **_places(options)) if square else 1
        elif kind in ("BatchNorm", "Scale", "FullNorm"):
            count = {"BatchNorm": 2, "Scale": 2, "FullNorm": 4}[kind]
            found[name] = [(maps,)] * count + [(1,)] * (kind == "BatchNorm")
        tops[name], last = (maps, side), name
    return found


def _places(options):
    return {key: options[key] for key in ("stride", "pad") if key in options}


def _convolved(side, kernel, stride=1, pad=0):
    return (side + 2 * pad - kernel) // stride + 1


def _pooled(side, kernel, stride=1, pad=0):
    """The number of windows is rounded up, without any that begins in the padding behind."""
    count = -(-(side + 2 * pad - kernel) // stride) + 1
    return count - (pad > 0 and (count - 1) * stride >= side + pad)


def _value(text):
    try:
        return float(text) if "." in text or "e-" in text else int(text)
    except ValueError:
        return text


def _normal(random, *shape, scale=1.0):
    return scale * random.standard_normal(shape, "float32")


def _conv_blobs(random, x, options):
    size, inside = options["kernel_size"], x.shape[1] // options.get("group", 1)
    gain = (2 / (inside * size * size)) ** 0.5
    weights = _normal(random, options["num_output"], inside, size, size, scale=gain)
    return [weights, *_bias(random, options)]


def _product_blobs(random, x, options):
    inside = int(np.prod(x.shape[1:]))
    weights = _normal(random, options["num_output"], inside, scale=(2 / inside) ** 0.5)
    return [weights, *_bias(random, options)]


def _bias(random, options):
    if options.get("bias_term") == "false":
        return []
    return [_normal(random, options["num_output"])]


def _statistics(random, x):
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    # no variance is small, nor is a gamma large: deep nets would enlarge errors of rounding
    variance = std**2 * random.uniform(0.6, 1.5, len(mean)) + 0.5 * (std**2).mean()
    mean = mean + 0.3 * std * _normal(random, len(mean))
    return mean.astype("float32"), variance.astype("float32")


def _norm_blobs(random, x, options):
    """As Caffe stores them: sums of the statistics, and what they have to be divided by."""
    factor = np.float32(999.98236)
    return [*(factor * values for values in _statistics(random, x)), np.array([factor])]


def _scale_blobs(random, x, options):
    gamma = random.uniform(0.1, 0.6, x.shape[1]).astype("float32")
    return [gamma, _normal(random, x.shape[1], scale=0.3)]


def _full_norm_blobs(random, x, options):
    return [*_scale_blobs(random, x, options), *_statistics(random, x)]


def _padded(x, before, after, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)), constant_values=value)


def _windows(x, size, stride):
    return sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]


def convolution(x, blobs, num_output, kernel_size, stride=1, pad=0, group=1, bias_term="true"):
    """The number of windows is rounded down."""
    x, weights = _padded(x, pad, pad), blobs[0]
    parts = zip(np.split(x, group, 1), np.split(weights, group, 0), strict=True)
    made = [
        np.tensordot(_windows(part, kernel_size, stride), own, ([1, 4, 5], [1, 2, 3]))
        for part, own in parts
    ]
    y = np.concatenate(made, -1).transpose(0, 3, 1, 2)
    return y + blobs[1][:, None, None] if bias_term == "true" else y


def pooling(x, blobs, pool, kernel_size=None, stride=1, pad=0, global_pooling="false"):
    """Maxima, or means whose windows are cut off at the end of the padding."""
    height, size = x.shape[2], kernel_size or x.shape[2]
    count = _pooled(height, size, stride, pad)
    after = max(0, (count - 1) * stride + size - height - pad)
    fill = -np.inf if pool == "MAX" else 0.0
    windows = _windows(_padded(x, pad, after, fill), size, stride)[:, :, :count, :count]
    if pool == "MAX":
        return windows.max((4, 5))
    begins = np.arange(count) * stride - pad  # a mean counts the zeros of the padding
    sides = np.minimum(begins + size, height + pad) - begins
    return windows.sum((4, 5)) / np.outer(sides, sides)


def lrn(x, blobs, local_size, alpha, beta, k=1.0):
    """Across channels; alpha is divided by the size."""
    half, channels = local_size // 2, x.shape[1]
    squares = np.pad(x * x, ((0, 0), (half, half), (0, 0), (0, 0)))
    sums = sum(squares[:, shift : shift + channels] for shift in range(local_size))
    return x / (k + alpha / local_size * sums) ** beta


def batch_norm(x, blobs, eps=1e-5):
    mean, variance = (blob / blobs[2][0] for blob in blobs[:2])
    return (x - mean[:, None, None]) / np.sqrt(variance + eps)[:, None, None]


def scale(x, blobs):
    return x * blobs[0][:, None, None] + blobs[1][:, None, None]


def full_norm(x, blobs, eps=1e-5):
    """Batch normalisation with scale and shift, which is one layer in Caffe2 and MXNet."""
    return scale(batch_norm(x, [*blobs[2:], np.ones(1, "float32")], eps), blobs[:2])


def inner_product(x, blobs, num_output):
    """The maps are flattened as they lie: channels, rows, columns."""
    return x.reshape(len(x), -1) @ blobs[0].T + blobs[1]


BLOBS = {
    "Convolution": _conv_blobs,
    "InnerProduct": _product_blobs,
    "BatchNorm": _norm_blobs,
    "Scale": _scale_blobs,
    "FullNorm": _full_norm_blobs,
}
LAYERS = {
    "Convolution": convolution,
    "InnerProduct": inner_product,
    "BatchNorm": batch_norm,
    "Scale": scale,
    "FullNorm": full_norm,
    "Pooling": pooling,
    "LRN": lrn,
    "ReLU": lambda x, blobs: np.maximum(x, 0),
    "Concat": lambda *xs, blobs: np.concatenate(xs, 1),
    "Eltwise": lambda *xs, blobs: sum(xs),
    "Dropout": lambda x, blobs: x,  # in the test phase
}
