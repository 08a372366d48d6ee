"""A loopback server that speaks as much of the Hub's protocol as a release needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from corpus.sample.server import Loopback

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "hf_" + "secret" * 5


@dataclass
class Repo:
    """A dataset or model: the files of its newest commit, all commits, files of earlier ones."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    past: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def at(self, revision: str | None) -> tuple[str, dict[str, bytes]]:
        """Give the commit and files of a revision."""
        commit = self.commits[-1] if revision in (None, "main") else str(revision)
        return commit, self.past.get(commit, self.files)


class HubServer(Loopback):
    """Keeps datasets in memory.

    Attributes:
        repos: by ORG/NAME.
        log: (method, path) of every request.
        failures: pattern of "METHOD PATH" → status that is answered instead.
        meanwhile: called with a dataset between its comparison and its commit.
        lose_answers: so many commits are made and then answered with 502.
        xet: uploads go to a content-addressed store, which takes everything.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        self.failures: dict[str, int] = {}
        self.meanwhile: Callable[[Repo], None] = lambda repo: None
        self.lose_answers = 0
        self.xet = False

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def handler(self) -> type[BaseHTTPRequestHandler]:
        return _handler(self)

    def put(self, name: str, files: dict[str, bytes]) -> str:
        """Commit files as they are; give the commit."""
        repo = self.repos.setdefault(name, Repo(private=False))
        repo.commits.append(_oid(repr(sorted(files.items()))))
        repo.files = repo.past[repo.commits[-1]] = files
        return repo.commits[-1]

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


def _info(hub: HubServer, body: bytes, name: str, revision: str | None) -> Answer:
    if name not in hub.repos:
        return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
    commit, files = hub.repos[name].at(revision)
    siblings = [{"rfilename": path} for path in files]
    return 200, {"id": name, "sha": commit, "siblings": siblings, "tags": []}, {}


def _preupload(hub: HubServer, body: bytes, name: str) -> Answer:
    files = []
    for file in json.loads(body)["files"]:
        lfs = file["path"].endswith(LFS)
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
    if hub.xet:
        return 200, {"transfer": "xet", "objects": json.loads(body)["objects"]}, {}
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
            files[value["path"]] = hub.objects.get(value["oid"], b"" if hub.xet else None)
        elif kind == "deletedFile":
            del files[value["path"]]
    repo.files = files
    repo.commits.append(_oid(repr(sorted(files.items())) + repo.commits[-1]))
    url = f"{hub.url}/datasets/{name}/commit/{repo.commits[-1]}"
    if hub.lose_answers:
        hub.lose_answers -= 1
        return 502, {"error": "the answer was lost"}, {}
    return 200, {"commitOid": repo.commits[-1], "commitUrl": url}, {}


def _entry(path: str, data: bytes) -> dict[str, Any]:
    lfs = {"oid": _sha256(data), "size": len(data), "pointerSize": 130}
    return {
        "type": "file", "path": path, "size": len(data), "oid": _blob(data),
        **({"lfs": lfs} if path.endswith(LFS) else {}),
    }  # fmt: skip


def _tree(hub: HubServer, body: bytes, name: str, revision: str, folder: str | None) -> Answer:
    """List a folder; all below it where the query says so."""
    inside = f"{folder.strip('/')}/" if folder else ""
    _, every = hub.repos[name].at(revision)
    files = {p: d for p, d in every.items() if p.startswith(inside)}
    if "true" in parse_qs(body.decode()).get("recursive", ["false"])[0].lower():
        return 200, [_entry(path, data) for path, data in files.items()], {}
    here = {p: d for p, d in files.items() if "/" not in p[len(inside) :]}
    below = {inside + p[len(inside) :].split("/")[0] for p in files.keys() - here.keys()}
    folders = [{"type": "directory", "path": p, "oid": _oid(p), "size": 0} for p in sorted(below)]
    return 200, [*folders, *(_entry(path, data) for path, data in here.items())], {}


def _paths_info(hub: HubServer, body: bytes, name: str) -> Answer:
    asked = body.decode()
    wanted = json.loads(asked)["paths"] if asked[:1] == "{" else parse_qs(asked).get("paths", [])
    files = hub.repos[name].files
    return 200, [_entry(path, files[path]) for path in wanted if path in files], {}


def _resolve(hub: HubServer, body: bytes, name: str, revision: str, path: str) -> Answer:
    commit, files = hub.repos[name].at(revision)
    if path not in files:
        return 404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"}
    data = files[path]
    headers = {"ETag": f'"{_blob(data)}"', "X-Repo-Commit": commit}
    if path.endswith(LFS):
        headers |= {"X-Linked-Etag": f'"{_sha256(data)}"', "X-Linked-Size": str(len(data))}
    return 200, data, headers


def _xet_token(hub: HubServer, body: bytes, name: str) -> Answer:
    headers = {
        "X-Xet-Cas-Url": hub.url, "X-Xet-Access-Token": TOKEN,
        "X-Xet-Token-Expiration": "4102444800",
    }  # fmt: skip
    fields = {"casUrl": hub.url, "accessToken": TOKEN, "exp": 4102444800}
    return 200, fields, headers


def _valid(hub: HubServer, body: bytes) -> Answer:
    return 200, {"errors": [], "warnings": []}, {}


NAME = r"([\w.-]+/[\w.-]+)"
LFS = (".parquet", ".safetensors")
REV = r"(?:main|[0-9a-f]{40})"
ROUTES = {
    "POST /api/repos/create": _create,
    "POST /api/validate-yaml": _valid,
    rf"GET /api/(?:datasets|models)/{NAME}(?:/revision/({REV}))?": _info,
    rf"POST /api/(?:datasets|models)/{NAME}/preupload/main": _preupload,
    rf"POST /(?:datasets/)?{NAME}\.git/info/lfs/objects/batch": _batch,
    r"PUT /lfs/(\w+)": _upload,
    rf"POST /api/(?:datasets|models)/{NAME}/commit/main": _commit,
    rf"GET /api/(?:datasets|models)/{NAME}/tree/({REV})(/.*)?": _tree,
    rf"POST /api/(?:datasets|models)/{NAME}/paths-info/{REV}": _paths_info,
    rf"(?:GET|HEAD) /(?:datasets/)?{NAME}/resolve/({REV})/(.+)": _resolve,
    # A content-addressed store that takes everything.
    rf"GET /api/(?:datasets|models)/{NAME}/xet-write-token/{REV}": _xet_token,
    r"POST /v1/xorbs/.*": lambda hub, body: (200, {"was_inserted": True}, {}),
    r"POST /v1/shards.*": lambda hub, body: (200, {"result": 1}, {}),
}


def _oid(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    """Name data as git does."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


STRANGER: Answer = (401, {"error": "Invalid username or password."}, {})


def _encoded(answer: Answer, asked: str) -> tuple[int, bytes, dict[str, str]]:
    """Give an answer's bytes, or the range of them that was asked for."""
    code, value, headers = answer
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    if part := re.fullmatch(r"bytes=(\d+)-(\d*)", asked):
        start, end = int(part[1]), int(part[2] or len(data) - 1)
        said = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
        code, data, headers = 206, data[start : end + 1], {**headers, **said}
    return code, data, headers


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path, _, query = unquote(self.path).partition("?")
            hub.log.append((self.command, path))
            body = query.encode() if self.command in ("GET", "HEAD") else self.read()
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}" or "/lfs/" in path
            answer = hub.answer(self.command, path, body) if known else STRANGER
            code, data, headers = _encoded(answer, self.headers.get("Range", ""))
            self.send_response(code)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815

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
