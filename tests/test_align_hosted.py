"""Encoders behind an API: the real client against a loopback server."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from align import hosted
from align.encoders import load_encoder
from align.hosted import HostedEncoder
from align.services import Service, Terms, count_tokens
from corpus.errors import InputError, MissingExtraError, OfflineError, ServiceError
from corpus.tables import text_key
from corpus.vectors import encode_once, open_store
from corpus.workspace import Workspace
from tests.openai_server import KEY, OpenAIServer

pytest.importorskip("openai")

MODEL = "openai:text-embedding-3-small"
TEXTS = ["Muer reent et.", "It will rain tomorrow.", "", "আগামীকাল বৃষ্টি হবে।", "Il pleuvra demain."]


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(hosted, "DIMS", {"text-embedding-3-small": running.dim})
    running.requests.clear()
    running.failures.clear()
    running.spoil, running.key, running.most_tokens = (lambda rows: None), KEY, 8192
    return running


def encoder(server: OpenAIServer, spec: str = MODEL, **terms: Any) -> HostedEncoder:
    return HostedEncoder(spec, Terms(base_url=server.url, **terms))


def test_vectors_are_those_of_the_server(server: OpenAIServer) -> None:
    rows = encoder(server).encode(TEXTS)
    np.testing.assert_allclose(rows, server.encoder.encode(TEXTS), atol=1e-6)
    assert [len(body["input"]) for body in server.requests] == [4]  # an empty text costs nothing
    assert encoder(server).encode([]).shape == (0, server.dim)


def test_answers_out_of_order_are_put_in_order(server: OpenAIServer) -> None:
    server.spoil = lambda rows: rows.reverse()
    np.testing.assert_allclose(
        encoder(server).encode(TEXTS), server.encoder.encode(TEXTS), atol=1e-6
    )


def test_requests_are_cut_by_tokens_and_by_number(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"sentence number {n}" for n in range(50)]
    monkeypatch.setattr(hosted, "MOST_TOKENS", 100)
    encoder(server).encode(texts)
    sums = [sum(map(count_tokens, body["input"])) for body in server.requests]
    assert [text for body in server.requests for text in body["input"]] == texts
    assert max(sums) <= 100 < sums[0] + count_tokens(texts[0])
    server.requests.clear()
    monkeypatch.setattr(hosted, "MOST_TOKENS", 10**6)
    monkeypatch.setattr(hosted, "MOST_TEXTS", 20)
    encoder(server).encode(texts)
    assert [len(body["input"]) for body in server.requests] == [20, 20, 10]


def test_long_texts_are_cut_to_what_the_model_takes(server: OpenAIServer) -> None:
    rows = encoder(server).encode(["বৃষ্টি " * 9000, "☃" * 9000])
    assert np.isfinite(rows).all()
    sent = server.requests[0]["input"]
    assert [len(text.encode()) for text in sent] == [8189, 8190]  # whole letters
    assert max(server.count(sent)) <= server.most_tokens


def test_dimensions_are_asked_for_and_learned(server: OpenAIServer) -> None:
    short = encoder(server, f"{MODEL}:32")
    rows = short.encode(["It will rain."])
    assert (short.dim, rows.shape, server.requests[0]["dimensions"]) == (32, (1, 32), 32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    unknown = encoder(server, "openai:newest")
    assert (unknown.dim, len(server.requests)) == (server.dim, 2)
    unknown.encode(["It will rain."])
    assert (unknown.dim, len(server.requests)) == (server.dim, 3)


def test_the_estimate_comes_first_and_covers_what_is_used(server: OpenAIServer) -> None:
    said: list[str] = []
    texts = TEXTS * 20
    metered = encoder(server, say=lambda text: said.append(f"{len(server.requests)} {text}"))
    metered.foresee(texts)
    metered.encode(texts[:50])
    metered.encode(texts[50:])
    [line] = said
    estimate = int(re.search(r"([\d,]+) tokens, \$", line)[1].replace(",", ""))  # type: ignore[index]
    used = sum(server.count([t for t in texts if t]))
    assert line.startswith("0 text-embedding-3-small will be asked: up to about")
    assert used <= estimate <= 2.5 * used
    assert metered._service.terms.spent == pytest.approx(used * 0.02 / 1e6)


@pytest.mark.parametrize(("text", "tokens"), [("", 1), ("abcdef", 3), ("é", 3), ("বৃ", 5)])
def test_tokens_by_hand(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


def test_what_would_cost_too_much_is_refused_before_the_first_call(server: OpenAIServer) -> None:
    texts = ["It will rain."] * 1000
    with pytest.raises(ServiceError, match=r"cost up to \$0.0002, over --max-cost 1e-05.*nothing"):
        encoder(server, max_cost=1e-5).encode(texts)
    assert server.requests == []


def test_the_limit_holds_in_mid_run_too(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("align.services.count_tokens", lambda text: 1)
    monkeypatch.setattr(hosted, "count_tokens", lambda text: 1)  # far too few
    monkeypatch.setattr(hosted, "MOST_TEXTS", 10)
    texts = [f"It will rain {n} times in the north of the country." for n in range(100)]
    with pytest.raises(ServiceError, match=r"\$0.\d+ spent\); what was finished is kept"):
        encoder(server, max_cost=3e-6).encode(texts)
    assert 0 < server.n_texts < 100


def test_a_limit_needs_a_price(server: OpenAIServer) -> None:
    with pytest.raises(ServiceError, match="price of 'newest' is not known; give it with --price"):
        encoder(server, "openai:newest", max_cost=1.0)
    assert encoder(server, "openai:newest", max_cost=1.0, price=(1.0, 0.0)).encode(["x"]).any()


def test_retry_after_is_honoured(server: OpenAIServer) -> None:
    wait = (429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})
    server.failures = [wait, (500, {"error": {"message": "oh"}}, {}), None]
    began = time.monotonic()
    rows = encoder(server).encode(TEXTS)
    assert time.monotonic() - began >= 1
    assert len(server.requests) == 3
    np.testing.assert_allclose(rows, server.encoder.encode(TEXTS), atol=1e-6)


AT_ONCE = {"Retry-After-Ms": "1"}


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((429, {"error": {"message": "quota"}}, AT_ONCE), "wants fewer calls or more money.*quota"),
        ((500, {"error": {"message": "oh"}}, AT_ONCE), "failed time and again.*run again"),
        ((503, {"error": {"message": "oh"}}, AT_ONCE), "failed time and again"),
        ((404, {"error": {"message": "no such model"}}, {}), "no such model.*check the model"),
        ((200, {"data": []}, {}), "did not do it.*check the model"),
        ((200, {}, {}), "did not do it"),
    ],
)
def test_failures_have_a_clear_end(
    server: OpenAIServer, failure: tuple[int, dict[str, Any], dict[str, str]], message: str
) -> None:
    server.failures = [failure] * 9
    with pytest.raises(ServiceError, match=message):
        encoder(server).encode(TEXTS)
    assert len(server.requests) == (6 if failure[0] in (429, 500, 503) else 1)


def set_first(value: float) -> Any:
    def spoil(rows: list[dict[str, Any]]) -> None:
        rows[0]["embedding"] = np.array(rows[0]["embedding"]) * value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (set_first(np.nan), "zero or not finite"),
        (set_first(np.inf), "zero or not finite"),
        (set_first(0), "zero or not finite"),
        (lambda rows: rows[1].update(embedding=rows[1]["embedding"][:-1]), "dimensions, not 256"),
        (lambda rows: [r.update(embedding=r["embedding"][:-1]) for r in rows], "dimensions, not"),
        (lambda rows: rows.pop(), "3 vectors for 4 texts"),
        (lambda rows: rows[1].update(index=0), "3 vectors for 4 texts"),
    ],
)
def test_bad_vectors_are_refused(server: OpenAIServer, spoil: Any, message: str) -> None:
    server.spoil = spoil
    with pytest.raises(ServiceError, match=f"gave .*{message}.*check the model"):
        encoder(server).encode(TEXTS)


def test_no_key_is_ever_said(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.key = "another"
    for key in (KEY, "plain-words-as-key"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(ServiceError, match=r"takes no such key.*\*\*\*") as caught:
            encoder(server).encode(TEXTS)
        assert key not in str(caught.value) + caplog.text
        assert caught.value.__suppress_context__  # a traceback does not show the client's error
    assert KEY not in encoder(server).key


def test_what_is_missing_is_named(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="write openai:MODEL or openai:MODEL:DIMENSIONS"):
        HostedEncoder("openai:a:b", Terms())
    for url in ("http://me:secret@127.0.0.1/v1", "ftp://x/", "http://127.0.0.1/v1?key=secret"):
        with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
            HostedEncoder(MODEL, Terms(url))
        assert "secret" not in str(caught.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    server.key = ""
    assert encoder(server).encode(["x"]).any()  # a server of one's own needs no key
    with pytest.raises(InputError, match=r"set OPENAI_API_KEY.*--base-url"):
        HostedEncoder(MODEL, Terms())
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"bitextile\[openai\]"):
        encoder(server)


def test_a_server_that_is_not_there(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("align.services.ATTEMPTS", 1)
    with pytest.raises(OfflineError, match=r"127.0.0.1:9/v1 cannot be reached"):
        HostedEncoder(MODEL, Terms("http://127.0.0.1:9/v1")).encode(["x"])


def test_words_are_paid_for_as_vectors_are(server: OpenAIServer) -> None:
    usage = type("Usage", (), {"prompt_tokens": 1000, "completion_tokens": 500})
    service = Service("gpt-4o-mini", Terms(server.url, max_cost=0.001))
    service.foresee(1000, 1000)
    service.call(lambda client: type("Chat", (), {"usage": usage}), 1000, 1000)
    assert service.terms.spent == pytest.approx((1000 * 0.15 + 500 * 0.6) / 1e6)
    with pytest.raises(ServiceError, match=r"over --max-cost 0.001"):
        service.call(lambda client: pytest.fail("asked"), 1000, 1000)


def test_a_second_run_asks_nothing(server: OpenAIServer, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "me@example.org")
    keys = [text_key(text) for text in TEXTS]
    first = encode_once(*_opened(workspace, server), TEXTS, keys)
    n_asked = len(server.requests)
    second = encode_once(*_opened(workspace, server), TEXTS, keys)
    assert (first[1], second[1], len(server.requests)) == (5, 0, n_asked)
    np.testing.assert_array_equal(first[0], second[0])


def _opened(workspace: Workspace, server: OpenAIServer) -> Any:
    made = load_encoder("openai:newest", Terms(server.url))
    return open_store(workspace, made), made
