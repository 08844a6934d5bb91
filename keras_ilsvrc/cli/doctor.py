"""The `doctor` command, which shows versions, devices and missing requirements."""

import importlib.metadata
import json
import platform
import sys

from rich.console import Console
from rich.table import Table

from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.terminal.streams import quiet_tensorflow

# Rows of (package, what needs the package, command that installs it).
NEEDED = (
    ("tensorflow", "every command that computes", "python -m pip install keras_ilsvrc"),
    ("keras", "every command that computes", "python -m pip install keras_ilsvrc"),
    ("keras-tuner", "hypermodel", "python -m pip install keras_ilsvrc"),
    ("tensorboard", "keras-tuner, which imports it", "python -m pip install keras_ilsvrc"),
    ("tensorflow-datasets", "data sets tfds:NAME", "python -m pip install keras_ilsvrc"),
    ("importlib_resources", "tensorflow-datasets", "python -m pip install keras_ilsvrc"),
    ("scikit-learn", "the digits and the SVM baseline", "python -m pip install keras_ilsvrc"),
)
GPU = "python -m pip install 'keras_ilsvrc[and-cuda]'"


def doctor(as_json: Json = False) -> None:
    """Show the versions of Python and packages, the devices, and missing requirements."""
    report: dict[str, str] = {"python": platform.python_version()}
    missing = []
    for package, purpose, install in NEEDED:
        try:
            report[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{package}: needed for {purpose}; {install}")
    devices = []
    if "tensorflow" in report and "keras" in report:
        quiet_tensorflow()
        import keras
        import tensorflow as tf

        report["backend"] = keras.backend.backend()
        report["image data format"] = keras.config.image_data_format()
        devices = [device.name for device in tf.config.list_physical_devices()]
        if not any("GPU" in name for name in devices) and sys.platform == "linux":
            missing.append(f"a GPU that TensorFlow can use: needed for speed; for CUDA, {GPU}")
        if report["image data format"] != "channels_last":
            missing.append(
                "channels_last: needed by all nets; set image_data_format in ~/.keras/keras.json"
            )
    if as_json:
        print(json.dumps({**report, "devices": devices, "missing": missing}, indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in report.items():
        table.add_row(name, value)
    table.add_row("devices", ", ".join(devices) or "none")
    table.add_row("missing", "\n".join(missing) or "nothing")
    Console().print(table, markup=False)
