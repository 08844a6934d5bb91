"""HTML tables that notebooks show for objects of this package."""

from collections.abc import Mapping
from html import escape


def facts_table(title: str, facts: Mapping[str, str]) -> str:
    """Return an HTML table with a title and a row for each fact whose text is not empty."""
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>"
        for name, text in facts.items()
        if text
    )
    return f"<table><caption>{escape(title)}</caption>{''.join(rows)}</table>"
