"""A web server on loopback whose every answer is a function of the test's own."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = Callable[["Handler"], None]


@dataclass(slots=True)
class Asked:
    """One request, and when its answer began and ended, in seconds of a monotonic clock."""

    path: str
    headers: Mapping[str, str]
    began: float
    ended: float = 0.0


class Handler(BaseHTTPRequestHandler):
    """Answers by the server's function; `send` answers a whole page."""

    protocol_version = "HTTP/1.1"
    server: StrangeServer

    def do_GET(self) -> None:
        asked = Asked(self.path, dict(self.headers), time.monotonic())
        self.server.log.append(asked)
        with suppress(ConnectionError):  # the crawl may hang up
            self.server.answer(self)
        asked.ended = time.monotonic()

    def send(self, body: bytes | str = b"", status: int = 200, **headers: str) -> None:
        """Answer with a body; ``Retry_After="1"`` becomes a header Retry-After."""
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        given = {"Content-Type": "text/html", "Content-Length": str(len(data))} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep stderr quiet."""


@dataclass(eq=False)
class StrangeServer(ThreadingHTTPServer):
    """Serves by one function until its context ends; ``log`` has every request."""

    answer: Answer
    log: list[Asked] = field(default_factory=list)
    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        """Where it listens, as HOST:PORT."""
        return f"127.0.0.1:{self.server_port}"

    def pages(self) -> list[Asked]:
        """Give the requests but those for rules, rights and guessed sitemaps."""
        others = ("/robots.txt", "/.well-known/tdmrep.json", "/sitemap.xml")
        return [a for a in self.log if a.path not in others]

    def __enter__(self) -> StrangeServer:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()
