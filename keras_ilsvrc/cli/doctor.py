"""The `doctor` command, which shows versions, devices, memory and missing requirements."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.utils.streams import quiet_tensorflow

HOME = "in the folder of this package"
INSTALL = f"run python -m pip install . {HOME}"
# Rows of (package, what needs the package, command that installs it).
NEEDED = (
    ("keras_ilsvrc", "every command", INSTALL),
    ("tensorflow", "most commands", INSTALL),
    ("keras", "most commands", INSTALL),
    ("keras-tuner", "hypermodel", INSTALL),
    ("tensorboard", "keras-tuner, which imports it", INSTALL),
    ("tensorflow-datasets", "data sets tfds:NAME", INSTALL),
    ("importlib_resources", "tensorflow-datasets", INSTALL),
    ("scikit-learn", "the data set digits and the SVM baseline", INSTALL),
)
GPU = f"run python -m pip install '.[and-cuda]' {HOME}"
# Optional extras to report. `and-cuda` is left out, since the list of devices shows the GPUs.
EXTRAS = ("draw", "export")
EXTRA = f"; run python -m pip install '.[{{}}]' {HOME}"


def doctor(as_json: Json = False) -> None:
    """Show versions, devices, memory and missing packages."""
    report: dict[str, str] = {"python": platform.python_version()}
    missing = []
    for package, purpose, install in NEEDED:
        try:
            report[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{package}: needed for {purpose}; {install}")
    report |= _optional() | _machine()
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
                "channels_last: needed by all networks; set image_data_format to channels_last in "
                "~/.keras/keras.json"
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


def _optional() -> dict[str, str]:
    """Return {"for EXTRA": names and versions of its packages} for the extras in `EXTRAS`."""
    found: dict[str, str] = {}
    for text in importlib.metadata.requires("keras_ilsvrc") or ():
        package, _, extra = text.partition("; extra == ")
        extra = extra.strip("\"'")
        if extra not in EXTRAS:
            continue
        name = re.split(r"[^\w.-]", package)[0]
        try:
            state = f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            state = f"{name} missing"
        found[extra] = ", ".join(filter(None, (found.get(extra), state)))
    return {
        f"for {extra}": states + EXTRA.format(extra) * ("missing" in states)
        for extra, states in found.items()
    }


def _machine() -> dict[str, str]:
    """Return {name: text} for cores, memory (if the system reports it) and free disk space."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    found, gigabyte = {"cores": str(cores)}, 10**9
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory"] = f"{memory / gigabyte:.1f} GB"
    free = shutil.disk_usage(Path()).free
    return {**found, "free disk here": f"{free / gigabyte:.1f} GB"}
