"""Importing this reads what every process that extracts pages needs, once for all of them.

`engine` lets the process do so from which it forks the others: they share its memory.
"""

from __future__ import annotations

import parsel  # noqa: F401 - for selectors

from corpus import extract  # noqa: F401
from corpus.languages import load_model

load_model()  # takes as long as a hundred pages
