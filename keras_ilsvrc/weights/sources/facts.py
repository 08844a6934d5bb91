"""Descriptions of published weights in words. Only the standard library is imported."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras_ilsvrc.weights.sources.source import Source


def facts(source: Source) -> dict[str, str]:
    """Return a description of published weights, {heading: text}, with an empty text if unknown."""
    pairs = (("top-1", source.top1_accuracy), ("top-5", source.top5_accuracy))
    accuracy = ", ".join(f"{k} {value:g} %" for k, value in pairs if value is not None)
    protocol = f" ({source.protocol})" if accuracy and source.protocol else ""
    by_hand = f"by hand: no known {'SHA-256' if source.sha256 is None else 'address'}"
    needs = [f"{key}={value}" for key, value in source.options.items()]
    return {
        "file": source.file,
        "download": "by name" if source.downloadable else by_hand,
        "accuracy": f"{accuracy}{protocol}",
        "preprocessing": in_words(source.preprocessing) or "not known",
        "needs": ", ".join(needs),
        "licence": source.licence or "none stated",
        "notes": "; ".join(source.notes),
    }


def short_accuracy(source: Source) -> str:
    """Return the published accuracies, for example "73.3 / 91.4"; empty if none is known."""
    values = source.top1_accuracy, source.top5_accuracy
    known = any(value is not None for value in values)
    return " / ".join("-" if value is None else f"{value:.1f}" for value in values if known)


def in_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return preprocessing ops as a text, for example "resize_shorter size 256, flip"."""
    return ", ".join(
        " ".join([row["op"], *(f"{key} {_text(x)}" for key, x in row.items() if key != "op")])
        for row in rows
    )


def _text(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
