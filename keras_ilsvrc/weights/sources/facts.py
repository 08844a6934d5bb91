"""Facts about published weights as texts, for people. Imports only the standard library."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras_ilsvrc.weights.sources.source import Source

# {op: its text, with the names of its arguments}
WORDS = {
    "resize": "resize to {size}x{size}",
    "resize_shorter": "resize the shorter side to {size}",
    "centre_crop": "cut {size}x{size} from the middle",
    "normalise": "subtract {mean}, divide by {std}",
    "global_contrast": "normalise each image's contrast",
}


def facts(source: Source) -> dict[str, str]:
    """Return what is known about published weights, as {heading: text}; a text may be empty."""
    pairs = (("top-1", source.top1_accuracy), ("top-5", source.top5_accuracy))
    accuracy = ", ".join(f"{k} {value:g} %" for k, value in pairs if value is not None)
    needs = [f"{key}={value}" for key, value in source.options.items()]
    return {
        "file": source.file,
        "download": "by name" if source.sha256 and source.url else "by hand: no known SHA-256",
        "accuracy": " ".join(filter(None, (accuracy, source.protocol and f"({source.protocol})"))),
        "preprocessing": in_words(source.preprocessing),
        "needs": ", ".join(needs),
        "licence": source.licence or "none stated",
        "notes": "; ".join(source.notes),
    }


def in_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return preprocessing ops as a text, for example "resize the shorter side to 256, ..."."""
    return ", ".join(map(_in_words, rows))


def _in_words(row: Mapping[str, Any]) -> str:
    texts = {key: _text(value) for key, value in row.items()}
    op = texts.pop("op")
    pattern = WORDS.get(op, op)
    others = [f"{key} {x}" for key, x in texts.items() if f"{{{key}}}" not in pattern]
    return " ".join([pattern.format(**texts), *([f"({', '.join(others)})"] if others else [])])


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "/".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
