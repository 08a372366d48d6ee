"""A loopback server that speaks as much of the Hub's protocol as a release needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "hf_" + "secret" * 5


@dataclass
class Repo:
    """A dataset: the files of its newest commit, and all commits."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


class HubServer:
    """Keeps datasets in memory.

    Attributes:
        repos: by ORG/NAME.
        log: (method, path) of every request.
        failures: pattern of "METHOD PATH" → status that is answered instead.
        meanwhile: called with a dataset between its comparison and its commit.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        self.failures: dict[str, int] = {}
        self.meanwhile: Callable[[Repo], None] = lambda repo: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> HubServer:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        for pattern, status in self.failures.items():
            if re.search(pattern, f"{method} {path}"):
                return status, {"error": "as the test wants it"}, {}
        for pattern, act in ROUTES.items():
            if match := re.fullmatch(pattern, f"{method} {path}"):
                return act(self, body, *match.groups())
        return 404, {"error": "no such route"}, {}


Answer = tuple[int, Any, dict[str, str]]


def _create(hub: HubServer, body: bytes) -> Answer:
    asked = json.loads(body)
    name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
    if name in hub.repos:
        return 409, {"url": f"{hub.url}/datasets/{name}"}, {}
    hub.repos[name] = Repo(
        asked.get("visibility") == "private" or bool(asked.get("private")),
        {".gitattributes": b""},
        [_oid("0")],
    )
    return 200, {"url": f"{hub.url}/datasets/{name}"}, {}


def _info(hub: HubServer, body: bytes, name: str) -> Answer:
    if name not in hub.repos:
        return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
    repo = hub.repos[name]
    siblings = [{"rfilename": path} for path in repo.files]
    return 200, {"id": name, "sha": repo.commits[-1], "siblings": siblings, "tags": []}, {}


def _preupload(hub: HubServer, body: bytes, name: str) -> Answer:
    files = []
    for file in json.loads(body)["files"]:
        lfs = file["path"].endswith(".parquet")
        there = hub.repos[name].files.get(file["path"])
        files.append(
            {
                "path": file["path"],
                "uploadMode": "lfs" if lfs else "regular",
                "shouldIgnore": False,
                "oid": None if there is None else (_sha256(there) if lfs else _blob(there)),
            }
        )
    return 200, {"files": files}, {}


def _batch(hub: HubServer, body: bytes, name: str) -> Answer:
    objects = []
    for thing in json.loads(body)["objects"]:
        upload = {"upload": {"href": f"{hub.url}/lfs/{thing['oid']}"}}
        new = {} if thing["oid"] in hub.objects else {"actions": upload}
        objects.append({**thing, **new})
    return 200, {"transfer": "basic", "objects": objects}, {}


def _upload(hub: HubServer, body: bytes, oid: str) -> Answer:
    hub.objects[oid] = body
    return (200, {}, {}) if _sha256(body) == oid else (422, {"error": "wrong oid"}, {})


def _commit(hub: HubServer, body: bytes, name: str) -> Answer:
    hub.meanwhile(hub.repos[name])
    repo, files = hub.repos[name], dict(hub.repos[name].files)
    for line in body.splitlines():
        entry = json.loads(line)
        kind, value = entry["key"], entry["value"]
        if kind == "header" and value.get("parentCommit") not in (None, repo.commits[-1]):
            return 412, {"error": "the head has moved"}, {}
        if kind == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif kind == "lfsFile":
            files[value["path"]] = hub.objects[value["oid"]]
        elif kind == "deletedFile":
            del files[value["path"]]
    repo.files = files
    repo.commits.append(_oid(repr(sorted(files.items())) + repo.commits[-1]))
    url = f"{hub.url}/datasets/{name}/commit/{repo.commits[-1]}"
    return 200, {"commitOid": repo.commits[-1], "commitUrl": url}, {}


def _valid(hub: HubServer, body: bytes) -> Answer:
    return 200, {"errors": [], "warnings": []}, {}


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = {
    "POST /api/repos/create": _create,
    "POST /api/validate-yaml": _valid,
    rf"GET /api/datasets/{NAME}(?:/revision/main)?": _info,
    rf"POST /api/datasets/{NAME}/preupload/main": _preupload,
    rf"POST /datasets/{NAME}\.git/info/lfs/objects/batch": _batch,
    r"PUT /lfs/(\w+)": _upload,
    rf"POST /api/datasets/{NAME}/commit/main": _commit,
}


def _oid(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    """Name data as git does."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            hub.log.append((self.command, path))
            body = self.read()
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}" or "/lfs/" in path
            code, value, headers = (
                hub.answer(self.command, path, body)
                if known
                else (401, {"error": "Invalid username or password."}, {})
            )
            data = json.dumps(value).encode()
            self.send_response(code)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST  # noqa: N815

        def read(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler
