"""A web server on loopback that answers for every host of a newsroom."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Page:
    """What the server answers with."""

    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Seen(NamedTuple):
    """One request as the server saw it."""

    method: str
    host: str
    path: str  # with its query
    agent: str
    at: float  # seconds of a monotonic clock


class Loopback(ABC):
    """An HTTP server on a free port of 127.0.0.1, for as long as its context lasts."""

    @abstractmethod
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Give what answers each request."""

    @property
    def address(self) -> str:
        """Where it listens, as HOST:PORT."""
        return f"127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop, and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class NewsroomServer(Loopback):
    """Serves pages by host and path.

    Attributes:
        log: every request, in order.
    """

    def __init__(self, pages: Mapping[tuple[str, str], Page], *, latency: float = 0.0) -> None:
        """Prepare to serve ``pages``, each after ``latency`` seconds."""
        self.pages = pages
        self.latency = latency
        self.log: list[Seen] = []

    @property
    def host_map(self) -> dict[str, str]:
        """Where each host of the newsroom is to be reached."""
        return {host: self.address for host, _ in self.pages}

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Answer with the page of a host and path, or that there is none."""
        return _handler(self)


def _handler(server: NewsroomServer) -> type[BaseHTTPRequestHandler]:
    missing = Page(b"<!doctype html><title>404</title><h1>404</h1>", status=404)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            host = self.headers.get("Host", "")
            agent = self.headers.get("User-Agent", "")
            server.log.append(Seen(self.command, host, self.path, agent, time.monotonic()))
            if server.latency:
                time.sleep(server.latency)
            self.answer(server.pages.get((host, self.path), missing))

        do_HEAD = do_GET  # noqa: N815

        def answer(self, page: Page) -> None:
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            for name, value in page.headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(page.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep stderr quiet: the log is kept for the caller."""

    return Handler
