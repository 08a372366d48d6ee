"""The page's server: loopback alone, a token, and nothing for other sites.

The page itself holds no data; its address has the token behind ``#``, which no browser
sends. The script shows it with each question, so that another page, which cannot read
it, has nothing to send. Hosts and origins are checked beside.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from benchmarks.review.store import Judgement
from corpus.errors import BitextileError, InputError

if TYPE_CHECKING:
    from benchmarks.review.store import Store

MAX_BODY = 100_000  # bytes


class Server(ThreadingHTTPServer):
    """Serves one set to one judge on 127.0.0.1."""

    daemon_threads = True

    def __init__(self, store: Store, judge: str, port: int) -> None:
        """Bind to a port of this machine, any free one where it is 0.

        Raises:
            InputError: the port is taken.
        """
        self.store, self.judge = store, judge
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise InputError(
                f"port {port} is taken ({error.strerror}); end the other review or give --port"
            ) from error

    @property
    def origin(self) -> str:
        """The only address that may ask."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """The address to open; it stays the same from run to run on the same port."""
        return f"{self.origin}/#{self.store.token}"

    @cached_property
    def page(self) -> bytes:
        """The page, which is the same for every set."""
        return (files("benchmarks.review") / "templates" / "page.html").read_bytes()

    @cached_property
    def policy(self) -> str:
        """What the page may do: run its own script and style, and ask this server."""
        inline = {
            tag: base64.b64encode(hashlib.sha256(_inside(self.page, tag)).digest()).decode()
            for tag in ("script", "style")
        }
        return (
            f"default-src 'none'; script-src 'sha256-{inline['script']}'; "
            f"style-src 'sha256-{inline['style']}'; connect-src 'self'; img-src data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def act(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do what the page asks; give what it then shows.

        Raises:
            InputError: it cannot be done; nothing was stored.
        """
        if path == "/judge":
            self.store.add(_judgement(self.judge, body), str(body.get("request", ""))[:80])
        elif path == "/undo":
            return self.store.view(self.judge, self.store.undo(self.judge, int(body.get("n", 0))))
        return self.store.view(self.judge)


def _judgement(judge: str, body: dict[str, Any]) -> Judgement:
    """Read a judgement; one that does not say that a person made it counts as a script's."""
    item, version, verdict, comment = (
        str(body.get(key, "")) for key in ("item_id", "version", "verdict", "comment")
    )
    texts = body.get("texts") or []
    if not isinstance(texts, list):
        raise InputError("texts must be a list")
    by_script = body.get("by_script") is not False
    return Judgement(judge, item, version, verdict, tuple(map(str, texts)), comment, by_script)


def _inside(page: bytes, tag: str) -> bytes:
    found = re.search(rf"<{tag}>(.*?)</{tag}>".encode(), page, re.DOTALL)
    return found[1] if found else b""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET / with the page, and POST with JSON."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        if refused := self._foreign():
            self._refuse(403, refused)
        elif self.path == "/":
            self._send(200, self.server.page, "text/html; charset=utf-8")
        else:
            self._refuse(404, "there is only /")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            self._refuse(413, f"send at most {MAX_BODY} bytes, and say how many")
            return
        raw = self.rfile.read(int(length))
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if refused := self._foreign():
            self._refuse(403, refused)
        elif not secrets.compare_digest(given.encode(), self.server.store.token.encode()):
            self._refuse(401, "open the address that benchmarks review prints")
        elif self.headers.get_content_type() != "application/json":
            self._refuse(415, "send JSON")
        else:
            self._answer(raw)

    def _answer(self, raw: bytes) -> None:
        try:
            body = json.loads(raw)
            if not isinstance(body, dict):
                raise InputError("send an object")
            said = self.server.act(self.path, body)
        except (BitextileError, ValueError, TypeError, RecursionError) as error:
            self._refuse(400, str(error))
            return
        self._send(200, json.dumps(said, ensure_ascii=False).encode(), "application/json")

    def _foreign(self) -> str:
        """Say why a request is not from our own page: another host (DNS rebinding) or site."""
        own = self.server.origin
        if self.headers.get("Host") != own.removeprefix("http://"):
            return "this host is not served"
        if self.headers.get("Origin", own) != own:
            return "another origin may not ask"
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            return "another site may not ask"
        return ""

    def _refuse(self, code: int, why: str) -> None:
        self._send(code, json.dumps({"error": why}).encode(), "application/json")

    def _send(self, code: int, data: bytes, kind: str) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Content-Security-Policy": self.server.policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: the terminal is the judge's."""
