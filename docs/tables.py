"""Markdown tables between the markers of a page, which the scripts beside this one write."""

from __future__ import annotations

import re

Rows = list[list[str]]  # the first is the header


def table(rows: Rows) -> str:
    """Write a Markdown table."""
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([header, "|" + "---|" * len(rows[0]), *body]) + "\n"


def put(text: str, name: str, table: str) -> str:
    """Put a table between a marker ``<!-- NAME ... -->`` and its end."""
    pattern = rf"(<!-- {name}\b.*? -->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda m: f"{m[1]}\n{table}\n{m[2]}", text, flags=re.DOTALL)
