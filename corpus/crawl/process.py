"""The process that Scrapy runs in: ``python -m corpus.crawl.process``.

The first line of stdin is the job; ``stop`` on a line of its own ends the run in
good order, and the end of stdin, which is the end of the caller, ends it at once:
the frontier and the WARC files stand a kill at any moment.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.crawl import Job
from corpus.crawl.frontier import Frontier
from corpus.crawl.warc import WarcStore
from corpus.errors import BitextileError, StorageError
from corpus.sites import save_profile
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from corpus.crawl.spider import Crawl


def main() -> None:
    """Run the job that stdin names; report on stdout."""
    job = Job.from_json(sys.stdin.readline())
    workspace, site = Workspace(Path(job.root), job.contact), job.profile.name
    try:
        with workspace.lock(f"crawl {site}"):
            save_profile(workspace.site_pages(site) / "profile.json", job.profile)
            _say({"result": _run(job, workspace)})
    except sqlite3.Error as error:
        path = workspace.frontier(site)
        _say({"error": [StorageError.__name__, f"cannot use {path}: {error}; see to the disk"]})
    except BitextileError as error:
        _say({"error": [type(error).__name__, str(error)]})


def _run(job: Job, workspace: Workspace) -> dict[str, object]:
    from scrapy.crawler import AsyncCrawlerProcess

    from corpus.crawl.spider import Crawl, SiteSpider, settings

    frontier = Frontier(workspace.frontier(job.profile.name))
    try:
        store = WarcStore(workspace.site_pages(job.profile.name), frontier.file_sizes())
        crawl = Crawl(job, frontier, store, lambda *where: _say({"progress": where}))
        process = AsyncCrawlerProcess(settings(job))
        process.crawl(SiteSpider, crawl=crawl)
        threading.Thread(target=_listen, args=(crawl,), daemon=True).start()
        if job.seconds is not None:
            _reactor().callLater(job.seconds, crawl.stop, "time")
        process.start(install_signal_handlers=False)
        if crawl.error is not None:
            raise crawl.error
        return _result(crawl)
    finally:
        frontier.close()


def _listen(crawl: Crawl) -> None:
    for line in sys.stdin:
        if line.strip() == "stop":
            _reactor().callFromThread(crawl.stop, "interrupted")
    os._exit(1)


def _reactor() -> Any:  # noqa: ANN401 - Twisted's, which is there once Scrapy has chosen it
    from twisted.internet import reactor

    return reactor


def _result(crawl: Crawl) -> dict[str, object]:
    prefix = "failed: "
    return {
        "site": crawl.profile.name,
        "n_sources": crawl.n["sources"],
        "n_pages": crawl.n["pages"],
        "n_articles": crawl.n["articles"],
        "n_failed": crawl.n["failed"],
        "n_later": crawl.frontier.states().get("later", 0),
        "reasons": {k[len(prefix) :]: n for k, n in crawl.n.items() if k.startswith(prefix)},
        "failed_sources": crawl.failed_sources,
        "stopped": crawl.stopped or "finished",
    }


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
