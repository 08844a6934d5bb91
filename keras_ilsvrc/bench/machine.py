"""Facts about the machine and the package versions. This module does not import TensorFlow."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("keras_ilsvrc", "tensorflow", "keras", "torch", "torchvision")


def about_processor(field: str) -> str:
    """Return a field of Linux's /proc/cpuinfo, for example "flags"; "" if there is none."""
    path = Path("/proc/cpuinfo")
    found = path.is_file() and re.search(rf"^{field}\s*: (.*)$", path.read_text(), re.MULTILINE)
    return found[1] if found else ""


def machine() -> dict[str, str]:
    """Return the processor, the number of threads and the versions of the packages."""
    available = getattr(os, "sched_getaffinity", None)  # this function exists only on Linux
    facts = {
        "processor": about_processor("model name") or platform.processor() or platform.machine(),
        "threads": str(len(available(0)) if available else os.cpu_count()),
        "Python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts
