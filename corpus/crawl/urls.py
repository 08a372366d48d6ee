"""URLs as sources and links give them, and the bounds of a run."""

from __future__ import annotations

from typing import NamedTuple

ASKED_DEPTH = -1  # of a URL that was asked for by name: nearer than what sources list
WINDOW_DEPTH = 2  # links away from what sources list, where a window bounds a run


class Url(NamedTuple):
    """A URL as a source or a link gave it; dates are ISO 8601 in UTC."""

    url: str
    host: str
    article: bool
    depth: int
    listed: str | None  # when it was published
    dated: str | None
    idle: int = 0
    shown: int | None = None  # the depth of the page that links to it
    changed: str | None = None  # when it was changed, by a source
    id: int = 0  # of its row, once it has one
    etag: str | None = None
    modified: str | None = None


class Bounds(NamedTuple):
    """What a run takes."""

    start: str = ""  # the first day
    end: str | None = None  # the last day
    deepest: int | None = None  # links from a source
    hosts: list[str] | None = None  # those that may be asked
