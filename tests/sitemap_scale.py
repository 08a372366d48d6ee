"""Memory of a crawl whose host lists many pages: ``python -m tests.sitemap_scale 1000000``.

The list comes as one plain file, as one in gzip, and as an index of files of 50,000 entries. The
crawl is a process of its own, whose peak of resident memory is shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from tests.strange_server import Handler, StrangeServer

HOST = "a.example"
PART = 50_000  # entries of a file, by the protocol of sitemaps
DRIVER = """
import json, sys
from benchmarks.tasks.efficiency import peak_mb
from corpus.crawl import crawl
from corpus.sites import Profile
from corpus.workspace import Workspace
root, profile, host_map = sys.argv[1:]
workspace = Workspace.create(root, "you@example.org")
done = crawl(workspace, Profile.model_validate_json(profile), host_map=json.loads(host_map),
             all_=True, limit=1)
n_urls = done.n_waiting + done.n_pages + done.n_failed
print(json.dumps([n_urls, done.failed_sources, round(peak_mb())]))
"""
PROFILE = {
    "name": "tiny",
    "title": "Tiny",
    "licence": "CC0-1.0",
    "scheme": "http",
    "delay": 0,
    "pairs": [],
    "links": False,
    "editions": [{"lang": "en", "host": HOST, "articles": ["^/20\\d\\d/"]}],
}


class Measured(NamedTuple):
    """What a crawl knew in the end, and its peak of resident memory."""

    n_urls: int
    failed: list[list[str]]
    megabytes: int


def entries(start: int, stop: int) -> Iterator[bytes]:
    """Give a list of pages in pieces, each page with its date."""
    yield b"<urlset>"
    for first in range(start, stop, 1000):
        lines = (
            f"<url><loc>http://{HOST}/2026/05/{1 + n % 28:02}/the-bridge-opens-{n}</loc>"
            f"<lastmod>2026-05-{1 + n % 28:02}</lastmod></url>\n"
            for n in range(first, min(first + 1000, stop))
        )
        yield "".join(lines).encode()
    yield b"</urlset>"


def packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pack pieces with gzip."""
    packer = zlib.compressobj(wbits=31)
    yield from map(packer.compress, pieces)
    yield packer.flush()


class Lists:
    """Answers with the lists of a host, which are never held whole here."""

    def __init__(self, n_urls: int, form: str) -> None:
        self.n_urls, self.form = n_urls, form

    def __call__(self, asked: Handler) -> None:
        if asked.path == "/sitemap.xml" and self.form == "index":
            parts = range(0, self.n_urls, PART)
            named = "".join(
                f"<sitemap><loc>http://{HOST}/part-{n}.xml</loc></sitemap>" for n in parts
            )
            asked.send(f"<sitemapindex>{named}</sitemapindex>")
        elif asked.path.endswith(".xml"):
            first = int(asked.path[6:-4]) if asked.path.startswith("/part-") else 0
            last = first + PART if self.form == "index" else self.n_urls
            pieces = entries(first, min(last, self.n_urls))
            self.stream(asked, packed(pieces) if self.form == "gzip" else pieces)
        else:
            asked.send("no", 404)

    def stream(self, asked: Handler, pieces: Iterator[bytes]) -> None:
        asked.send_response(200)
        asked.send_header("Content-Type", "application/xml")
        asked.send_header("Transfer-Encoding", "chunked")
        asked.end_headers()
        for piece in filter(None, pieces):
            asked.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        asked.wfile.write(b"0\r\n\r\n")


def measure(n_urls: int, form: str) -> Measured:
    """Crawl one page of a host that lists many, its list as plain, gzip or index."""
    with StrangeServer(Lists(n_urls, form)) as server, tempfile.TemporaryDirectory() as root:
        host_map = json.dumps({HOST: server.address})
        command = [sys.executable, "-c", DRIVER, root, json.dumps(PROFILE), host_map]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(*json.loads(done.stdout))


if __name__ == "__main__":
    for form in ("plain", "gzip", "index"):
        found = measure(int(sys.argv[1]), form)
        print(f"{form}: {found.n_urls} URLs, peak {found.megabytes} MB", found.failed)  # noqa: T201
