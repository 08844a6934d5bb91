"""Nets of the ONNX model zoo as texts for `caffe_referee`, and as graphs of ONNX operators.

Sources: facebookarchive/models, */predict_net.pbtxt, for Caffe2's nets; apache/mxnet,
python/mxnet/gluon/model_zoo/vision, for Gluon's nets.
"""

import numpy as np
from caffe_nets import conv, fully_connected
from onnx import TensorProto, checker, helper, numpy_helper, save

# {maker of the file: words at the end of names: of kernel and bias, of a normalisation's arrays}
WORDS = {
    "caffe2": (("w_0", "b_0"), ("s_0", "b_0", "rm_0", "riv_0")),
    "gluon": (("weight", "bias"), ("gamma", "beta", "running_mean", "running_var")),
}


def zfnet512(classes):
    text = ""
    for n, maps, size in ((1, 96, 7), (2, 256, 5)):
        text += conv(f"conv{n}", maps, size, stride=2, relu=f"relu{n}")
        text += f"norm{n} LRN local_size=5 alpha=0.0005 beta=0.75 k=2.0\n"
        text += f"pool{n} Pooling pool=MAX kernel_size=3 stride=2\n"
    for n in (3, 4, 5):
        text += conv(f"conv{n}", 512, 3, pad=1, relu=f"relu{n}")
    text += "pool5 Pooling pool=MAX kernel_size=2 stride=2\n"
    return text + fully_connected(classes, units=(4096, 1024))


def caffe2_resnet50(classes):
    """Bottlenecks with the stride in the 3x3 convolution; units are numbered from 0."""
    text = _stem("conv1", "res_conv1_bn")
    below = "pool"
    for stage, count in enumerate((3, 4, 6, 3), 2):
        maps = 64 * 2 ** (stage - 2)
        for n in range(count):
            stride = 2 if n == 0 and stage > 2 else 1
            body = [("2a", maps, 1, 1), ("2b", maps, 3, stride), ("2c", 4 * maps, 1, 1)]
            shortcut = ("1", 4 * maps, 1, stride) if n == 0 else None
            names = f"res{stage}_{n}_branch{{}}", f"res{stage}_{n}_branch{{}}_bn"
            text += _unit(f"res{stage}_{n}", below, names, body, shortcut, ())
            below = f"res{stage}_{n}_relu"
    text += "average Pooling pool=AVE global_pooling=true\n"
    return text + f"pred InnerProduct num_output={classes}"


def gluon_resnet(depth, classes):
    """Layers are numbered stage by stage, the shortcut's after the body's. Bottlenecks have their
    stride in the first convolution, and biases in their 1x1 convolutions."""
    counts = {18: (2, 2, 2, 2), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}.get(depth, (3, 4, 6, 3))
    text, below = _stem("conv0", "batchnorm0"), "pool"
    for stage, count in enumerate(counts, 1):
        maps, number = 64 * 2 ** (stage - 1), 0
        for n in range(count):
            stride = 2 if n == 0 and stage > 1 else 1
            rows = [(maps, 3, stride), (maps, 3, 1)]
            if depth >= 50:
                rows = [(maps, 1, stride), (maps, 3, 1), (4 * maps, 1, 1)]
            if n == 0 and (depth >= 50 or stage > 1):
                rows.append((rows[-1][0], 1, stride))
            body = [(number + i, *row) for i, row in enumerate(rows)]
            number += len(body)
            shortcut = body.pop() if len(body) == (4 if depth >= 50 else 3) else None
            names = f"stage{stage}_conv{{}}", f"stage{stage}_batchnorm{{}}"
            text += _unit(f"stage{stage}_{n}", below, names, body, shortcut, (1,))
            below = f"stage{stage}_{n}_relu"
    text += "average Pooling pool=AVE global_pooling=true\n"
    return text + f"dense0 InnerProduct num_output={classes}"


def _stem(name, norm):
    text = conv(name, 64, 7, stride=2, pad=3, bias_term="false") + f"{norm} FullNorm\nrelu ReLU\n"
    return text + "pool Pooling pool=MAX kernel_size=3 stride=2 pad=1\n"


def _unit(at, below, names, body, shortcut, biased):
    """A unit of rows (key in `names`, maps, size, stride); `biased` are sizes of kernels."""
    text, side = "", below
    for row in [shortcut, *body] if shortcut else body:
        key, maps, size, stride = row
        norm = names[1].format(key)
        text += conv(
            names[0].format(key),
            maps,
            size,
            stride=stride,
            pad=size // 2,
            bottom=f"< {below}" if row in (shortcut, body[0]) else "",
            bias_term="true" if size in biased and row != shortcut else "false",
        )
        text += f"{norm} FullNorm\n" + (
            "" if row in (shortcut, body[-1]) else f"{norm}_relu ReLU\n"
        )
        side = norm if row == shortcut else side
    return text + f"{at} Eltwise < {norm} {side}\n{at}_relu ReLU\n"


def gluon_vgg(counts, classes, norm=False):
    text, number = "", 0
    for stage, (count, maps) in enumerate(zip(counts, (64, 128, 256, 512, 512), strict=True)):
        for _ in range(count):
            text += conv(f"conv{number}", maps, 3, pad=1)
            text += f"batchnorm{number} FullNorm\n" if norm else ""
            text += f"relu{number} ReLU\n"
            number += 1
        text += f"pool{stage} Pooling pool=MAX kernel_size=2 stride=2\n"
    for n in (0, 1):
        text += f"dense{n} InnerProduct num_output=4096\ndense{n}_relu ReLU\ndropout{n} Dropout\n"
    return text + f"dense2 InnerProduct num_output={classes}"


def initializers(blobs, maker, prefix):
    """The arrays of a file of Caffe2 or Gluon, under the names in the file."""
    return {
        f"{prefix}{layer}_{word}": array
        for layer, arrays in blobs.items()
        for word, array in zip(WORDS[maker][len(arrays) == 4], arrays)
    }


def write_graph(path, net, maker, prefix, tops):
    """Writes the net as a graph; `tops` are its outputs for a batch like the one that it takes."""
    named = initializers(net.blobs, maker, prefix)
    nodes, last, shapes = [], "data", {name: top.shape for name, top in tops.items()}
    for name, kind, options, bottoms in net.layers:
        below = bottoms or [last]
        weights = initializers({name: net.blobs.get(name, [])}, maker, prefix)
        if kind == "InnerProduct" and len(shapes[below[0]]) == 4:
            flat = f"{name}_flat"
            if maker == "caffe2":
                named["OC2_DUMMY_1"] = np.array([len(tops["data"]), -1])
                nodes.append(helper.make_node("Reshape", [*below, "OC2_DUMMY_1"], [flat]))
            else:
                nodes.append(helper.make_node("Flatten", below, [flat]))
            below = [flat]
        operator, attributes = _operator(kind, options, shapes[(bottoms or [last])[0]])
        nodes.append(helper.make_node(operator, [*below, *weights], [name], **attributes))
        last = name
    nodes.append(helper.make_node("Softmax", [last], ["prob"], axis=1))
    graph = helper.make_graph(
        nodes,
        "zoo",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shapes["data"])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, shapes[last]) for x in (last, "prob")],
        [numpy_helper.from_array(array, name) for name, array in named.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    checker.check_model(model)
    save(model, path)


def _operator(kind, options, shape):
    """ONNX's operator for a layer of Caffe, and its attributes. Pools round down."""
    places = {"strides": [options.get("stride", 1)] * 2, "pads": [options.get("pad", 0)] * 4}
    if kind == "Convolution":
        size = [options["kernel_size"]] * 2
        return "Conv", {"kernel_shape": size, "group": options.get("group", 1), **places}
    if kind == "Pooling":
        operator = {"MAX": "MaxPool", "AVE": "AveragePool"}[options["pool"]]
        return operator, {"kernel_shape": [options.get("kernel_size", shape[2])] * 2, **places}
    if kind == "LRN":
        given = {"size": options["local_size"], "bias": options.get("k", 1.0)}
        return "LRN", {**given, "alpha": options["alpha"], "beta": options["beta"]}
    return {
        "InnerProduct": ("Gemm", {"transB": 1}),
        "FullNorm": ("BatchNormalization", {"epsilon": 1e-5}),
        "ReLU": ("Relu", {}),
        "Concat": ("Concat", {"axis": 1}),
        "Eltwise": ("Add", {}),
        "Dropout": ("Dropout", {}),
    }[kind]
