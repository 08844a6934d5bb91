"""Conversion of a built net to a list of cells in the notation of tests/paper: `conv7/2-64 p3`."""

import keras
from keras import layers

from keras_ilsvrc.layers import ResidualUnit
from keras_ilsvrc.layers.pooling import CeilAveragePooling2D


def cells_of(model):
    """For each output, (layer, cell) from the image on; a head's begin with where it stands."""
    outputs = model.output if isinstance(model.output, dict) else {"predictions": model.output}
    walk = _Walk()
    trunk = {id(tensor): tensor for tensor in walk.above(outputs["predictions"])}
    found = {"predictions": walk.between(outputs["predictions"], {})}
    for name in outputs.keys() - found.keys():
        head = walk.between(outputs[name], trunk)
        start = next(x for x in walk.above(outputs[name]) if id(x) in trunk)
        place = _maker(start).name.removesuffix("_relu")
        found[name] = [(name, f"behind {place}"), *head]
    return found


class _Walk:
    def __init__(self):
        self.forks = {}

    def above(self, tensor):
        """A tensor and those before it, past the branches of a fork."""
        while True:
            yield tensor
            layer = _maker(tensor)
            if isinstance(layer, layers.InputLayer):
                return
            tensor = self.source(layer)

    def source(self, layer):
        """The input of a layer, or of several the tensor at which they part."""
        inputs = _inputs(layer)
        if len(inputs) > 1 and layer not in self.forks:
            paths = [list(self.above(tensor)) for tensor in inputs]
            shared = set.intersection(*({id(tensor) for tensor in path} for path in paths))
            self.forks[layer] = next(tensor for tensor in paths[0] if id(tensor) in shared)
        return self.forks[layer] if len(inputs) > 1 else inputs[0]

    def between(self, tensor, stop):
        """(layer, cell) of all layers after the tensors `stop`; branches are `( | )`."""
        found = []
        while id(tensor) not in stop:
            layer = _maker(tensor)
            if isinstance(layer, layers.InputLayer):
                break
            tensor, zeros = self.source(layer), None
            if len(_inputs(layer)) > 1:
                marks = ["(", *"|" * (len(_inputs(layer)) - 1)]
                branches = [self.between(x, {id(tensor)}) for x in _inputs(layer)]
                new = [y for mark, x in zip(marks, branches) for y in ((layer.name, mark), *x)]
                new.append((layer.name, ")"))
            elif isinstance(layer, ResidualUnit):
                inner = _Walk().between(layer.body.output, {})
                new = [(f"{layer.name}/{name}", cell) for name, cell in inner]
            else:
                if isinstance(_maker(tensor), layers.ZeroPadding2D):
                    zeros = _maker(tensor).padding
                    tensor = _maker(tensor).input
                new = [(layer.name, cell) for cell in _cells(layer, tensor, zeros)]
            found = new + found
        return found


def _maker(tensor):
    return tensor._keras_history.operation


def _inputs(layer):
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _cells(layer, source, zeros):
    """The cell of a layer and its activation."""
    activation = getattr(layer, "activation", None)
    after = [] if activation in (None, keras.activations.linear) else [activation.__name__]
    return [*_CELLS.get(type(layer).__name__, _of_window)(layer, source, zeros), *after]


def _of_window(layer, source, zeros):
    """Convolutions and pools: kernel, stride, maps, and the border if it is not usual."""
    convolution = hasattr(layer, "kernel_size")
    kernel = layer.kernel_size if convolution else layer.pool_size
    pads = zeros or ((0, 0), (0, 0))
    if layer.padding == "same":
        sides = zip(source.shape[1:3], kernel, layer.strides)
        every = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in sides]
        pads = tuple((total // 2, total - total // 2) for total in every)
    over = tuple((0, -(n - k) % s) for n, k, s in zip(source.shape[1:3], kernel, layer.strides))
    averages = isinstance(layer, layers.AveragePooling2D)
    if isinstance(layer, CeilAveragePooling2D):
        pads = over
    usual = tuple((k // 2, k // 2) for k in kernel) if convolution else ((0, 0), (0, 0))
    names = {over: " ceil", ((0, 0), (0, 0)): " valid", usual: ""}
    border = names.get(pads, f" p{pads[0][0]}" if len({*pads[0], *pads[1]}) == 1 else f" {pads}")
    if averages and border and not zeros:
        border += " uncounted"
    kind = "conv" if convolution else "avgpool" if averages else "maxpool"
    size = "x".join(map(str, kernel if kernel[0] != kernel[1] else kernel[:1]))
    stride = f"/{layer.strides[0]}" if layer.strides[0] > 1 else ""
    maps = f"-{layer.filters}" if convolution else ""
    groups = f" g{layer.groups}" if getattr(layer, "groups", 1) > 1 else ""
    return [f"{kind}{size}{stride}{maps}{groups}{border}"]


def _of_lrn(layer, *_):
    numbers = (layer.size, layer.k, layer.alpha, layer.beta)
    groups = f" g{layer.groups}" if layer.groups > 1 else ""
    return [" ".join(["lrn", *(f"{x:g}" for x in numbers)]) + groups]


_CELLS = {
    "LocalResponseNormalization": _of_lrn,
    "BatchNormalization": lambda *_: ["bn"],
    "Activation": lambda *_: [],
    "Flatten": lambda *_: [],
    "Dense": lambda x, *_: [f"fc-{x.units}"],
    "Dropout": lambda x, *_: [f"dropout {x.rate:g}"],
    "Rescaling": lambda x, *_: [f"times {x.scale:g}" + (f" + {x.offset:g}") * bool(x.offset)],
    "GlobalAveragePooling2D": lambda *_: ["average"],
    "AdaptiveAveragePooling2D": lambda x, *_: [f"average to {x.output.shape[1]}"],
    "TableConv2D": lambda x, *_: [f"conv{x.kernel_size}-{len(x.table)} table"],
    "Subsampling2D": lambda *_: ["subsampling"],
    "RadialBasis": lambda x, *_: [f"rbf-{len(x.values)}"],
    "GetItem": lambda *_: ["every 2nd"],
    "Pad": lambda x, y, _: [f"+{x.output.shape[-1] - y.shape[-1]} maps"],
}
