"""Formats of weight files. This module imports nothing, so that it can be used at once."""

# {suffix: name of the format and of its module}. The suffix is used only if the first bytes do not
# show the format.
FORMATS = dict.fromkeys((".pth", ".pt", ".th"), "torch") | dict.fromkeys((".h5", ".hdf5"), "hdf5")
FORMATS |= {f".{one}": one for one in ("onnx", "safetensors", "npz", "keras")}
FORMATS[".caffemodel"] = "caffe"
