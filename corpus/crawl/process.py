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
from contextlib import closing
from typing import TYPE_CHECKING

from corpus import forgotten
from corpus.crawl import Job
from corpus.crawl.frontier import Frontier
from corpus.crawl.warc import WarcStore
from corpus.errors import BitextileError, StorageError, write_advice
from corpus.sites import save_profile
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from corpus.crawl import CrawlResult
    from corpus.crawl.scheduler import Crawl


def main() -> None:
    """Run the job that stdin names; report on stdout."""
    job = Job.model_validate_json(sys.stdin.readline())
    workspace, site = Workspace(job.root), job.profile.name
    try:
        with workspace.lock(f"crawl {site}", wait=False):
            save_profile(workspace.profile(site), job.profile)
            _say("result", _run(job, workspace).model_dump())
    except sqlite3.Error as error:
        path = workspace.frontier(site)
        _say("error", StorageError.__name__, f"cannot use {path}: {error}; see to the disk")
    except OSError as error:
        text = f"cannot crawl into {workspace.site_pages(site)}: {error}; {write_advice(error)}"
        _say("error", StorageError.__name__, text)
    except BitextileError as error:
        _say("error", type(error).__name__, str(error))


def _run(job: Job, workspace: Workspace) -> CrawlResult:
    from scrapy.crawler import AsyncCrawlerProcess

    from corpus.crawl.scheduler import Crawl
    from corpus.crawl.spider import SiteSpider, settings

    site = job.profile.name
    with closing(Frontier(workspace.frontier(site))) as frontier:
        store = WarcStore(workspace.site_pages(site), frontier.file_sizes())
        frontier.reopen_lost(store.sizes())
        ids = forgotten.load(workspace)
        crawl = Crawl(job, frontier, store, lambda *where: _say("progress", where), ids)
        process = AsyncCrawlerProcess(settings(job) | {"SCHEDULER": Crawl})
        process.crawl(SiteSpider, crawl=crawl)
        threading.Thread(target=_listen, args=(crawl,), daemon=True).start()
        process.start(install_signal_handlers=False)
        if crawl.error is not None:
            raise crawl.error
        return crawl.result


def _listen(crawl: Crawl) -> None:
    for _ in sys.stdin:
        crawl.stop("interrupted")
    os._exit(1)


def _say(*message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
