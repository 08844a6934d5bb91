"""ONNX files with nodes, as other frameworks export them."""

import numpy as np
import onnx
from onnx import helper
from onnx.numpy_helper import from_array


def save_graph(path, nodes, constants, shape, output):
    """Write an ONNX file with the input `image` of a shape, and check it."""
    image = helper.make_tensor_value_info("image", 1, shape)
    held = [from_array(one, name) for name, one in constants.items()]
    made = helper.make_tensor_value_info(output, 1, ("images", "classes"))
    graph = helper.make_graph(nodes, "graph", [image], [made], held)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def nin_graph(path, pool2="AveragePool", shape=(1, 3, 32, 32)):
    """Write Network in Network for CIFAR-10, with pytorchcv's names and a softmax.

    If the last axis of `shape` is that of the channels, the graph first moves it, as tf2onnx does.
    """
    random = np.random.default_rng(0)
    units = {"1": ("5:192", "1:160", "1:96"), "2": ("5:192", "1:192", "1:192")}
    rows = [
        (f"features.stage{x}.unit{n}.conv", t) for x in units for n, t in enumerate(units[x], 1)
    ]
    rows += [("features.stage3.unit1.conv", "3:192"), ("features.stage3.unit2.conv", "1:192")]
    rows += [("output.final_conv.conv", "1:10")]
    nodes, constants, x, before = [], {}, "image", 3
    if shape[-1] == 3:
        nodes.append(helper.make_node("Transpose", [x], ["moved"], perm=[0, 3, 1, 2]))
        x = "moved"
    for number, (name, text) in enumerate(rows, 1):
        size, width = map(int, text.split(":"))
        scale = (2 / (size * size * before)) ** 0.5
        kernel = random.normal(0, scale, (width, before, size, size))
        constants[f"{name}.weight"] = kernel.astype("float32")
        constants[f"{name}.bias"] = random.uniform(0, 0.1, width).astype("float32")
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        pads = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4}
        nodes.append(helper.make_node("Conv", inputs, [f"conv{number}"], **pads))
        nodes.append(helper.make_node("Relu", [f"conv{number}"], [f"relu{number}"]))
        x, before = f"relu{number}", width
        if number in (3, 6):
            sizes = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
            pool = "MaxPool" if number == 3 else pool2
            nodes.append(helper.make_node(pool, [x], [f"pool{number}"], **sizes))
            x = f"pool{number}"
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["average"]))
    nodes.append(helper.make_node("Flatten", ["average"], ["flat"]))
    nodes.append(helper.make_node("Softmax", ["flat"], ["probabilities"], axis=1))
    save_graph(path, nodes, constants, shape, "probabilities")
