"""A loopback server that speaks OpenAI's protocol: real vectors, and words as a test has it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest

from align.encoders import load_encoder
from align.static import StaticEncoder
from corpus.sample.server import Loopback

KEY = "sk-" + "secret" * 5
Answer = tuple[int, dict[str, Any], dict[str, str]]


class OpenAIServer(Loopback):
    """Answers with vectors of `embedded`, counts tokens, and fails when told to.

    Attributes:
        requests: the body of every request.
        failures: what to answer next instead, first first; None answers well.
        spoil: changes the rows of a good answer.
        write: gives a chat message from the system's and the user's.
        key: the key that it takes; any where empty.
        most_tokens: of one text.
    """

    def __init__(self) -> None:
        encoder = load_encoder("embedded")
        assert isinstance(encoder, StaticEncoder)
        self.encoder, self.dim = encoder, encoder.dim
        self.requests: list[dict[str, Any]] = []
        self.failures: list[Answer | None] = []
        self.spoil: Callable[[list[dict[str, Any]]], object] = lambda rows: None
        self.write: Callable[[str, str], dict[str, Any]] = lambda system, user: {"content": user}
        self.key, self.most_tokens = KEY, 8192

    @property
    def url(self) -> str:
        return f"http://{self.address}/v1"

    @property
    def n_texts(self) -> int:
        return sum(len(body["input"]) for body in self.requests)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        pytest.importorskip("openai")  # whose real client asks it
        return _handler(self)

    def count(self, texts: list[str]) -> list[int]:
        return [len(e.ids) for e in self.encoder.tokenizer.encode_batch(texts)]

    def embed(self, body: dict[str, Any]) -> Answer:
        texts = body["input"]
        tokens = self.count(texts)
        if len(texts) > 2048 or sum(tokens) > 300_000 or max(tokens) > self.most_tokens:
            return 400, {"error": {"message": "maximum context length exceeded"}}, {}
        if not all(texts):
            return 400, {"error": {"message": "input cannot be an empty string"}}, {}
        vectors = self.encoder.encode(texts)[:, : body.get("dimensions")]
        rows = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
        self.spoil(rows)
        for row in rows:
            vector = np.asarray(row["embedding"], "<f4")
            packed = base64.b64encode(vector.tobytes()).decode()
            row["embedding"] = packed if body["encoding_format"] == "base64" else vector.tolist()
        usage = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}
        return 200, {"object": "list", "model": body["model"], "data": rows, "usage": usage}, {}

    def chat(self, body: dict[str, Any]) -> Answer:
        system, user = (message["content"] for message in body["messages"])
        message = {"role": "assistant", **self.write(system, user)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": sum(self.count([system, user])), "completion_tokens": 20}
        return 200, {"object": "chat.completion", "model": body["model"], "choices": [choice],
                     "usage": usage | {"total_tokens": sum(usage.values())}}, {}  # fmt: skip


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            given = self.headers.get("Authorization", "")
            server.requests.append(body)
            status, answer, headers = self._answer(body, given)
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _answer(self, body: dict[str, Any], given: str) -> Answer:
            acts = {"/v1/embeddings": server.embed, "/v1/chat/completions": server.chat}
            if self.path not in acts:
                return 404, {"error": {"message": f"nothing at {self.path}"}}, {}
            if server.key and given != f"Bearer {server.key}":
                return 401, {"error": {"message": f"Incorrect API key: {given}"}}, {}
            failure = server.failures.pop(0) if server.failures else None
            return failure or acts[self.path](body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler
