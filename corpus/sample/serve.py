"""Serves a newsroom on loopback: for a crawl of the sample, or for a look at it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from corpus.sample.documents import load_documents
from corpus.sample.render import newsroom_profile, render
from corpus.sample.server import NewsroomServer
from corpus.sites import load_profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corpus.console import Console

SITE = "sample"


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Serve the bundled newsroom; give where its hosts are reached."""
    newsroom = render(load_documents(), load_profile(SITE))
    with NewsroomServer(newsroom.pages) as server:
        yield server.host_map


def serve(console: Console, documents: Path | None) -> None:
    """Serve a newsroom until interrupted, and say how to look at it.

    Args:
        console: where to say it.
        documents: a TSV of aligned documents; the bundled ones by default.
    """
    stories = load_documents(documents)
    languages = list(dict.fromkeys(lang for story in stories for lang in story.lines))
    profile = load_profile(SITE) if documents is None else newsroom_profile(languages)
    with NewsroomServer(render(stories, profile).pages) as server:
        console.show(f"serving on http://{server.address}; the Host header chooses the edition:")
        for edition in profile.editions:
            console.show(f"  curl -H 'Host: {edition.host}' http://{server.address}/")
        console.show("stop with Ctrl-C")
        threading.Event().wait()
