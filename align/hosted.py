"""Encoders behind an API: ``openai:MODEL``, at OpenAI or any server that speaks its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from align.lexical import Lexical
from align.services import RESUME, Service, Terms, count_tokens
from corpus.errors import InputError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

DIMS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
MOST_BYTES = 8191  # of a text: as many as a model takes tokens, and no token is under a byte
MOST_TEXTS, MOST_TOKENS = 2048, 100_000  # of a request; OpenAI takes 300,000


class HostedEncoder:
    """A model of an embeddings API: an `align.encoders.Encoder`, and what it will cost."""

    def __init__(self, spec: str, terms: Terms) -> None:
        """Make ready to ask for ``openai:MODEL``, or ``openai:MODEL:DIMENSIONS``.

        Raises:
            InputError: the spec names no model.
            MissingExtraError: openai is not installed.
        """
        model, _, shortened = spec.removeprefix("openai:").partition(":")
        if not model or (shortened and not shortened.isdecimal()):
            raise InputError(f"no encoder '{spec}'; write openai:MODEL or openai:MODEL:DIMENSIONS")
        self._service = Service(model, terms)
        self._shortened = {"dimensions": int(shortened)} if shortened else {}
        self._dim = int(shortened or DIMS.get(model, 0))  # 0: not known yet
        self.name, self.revision = spec, ""
        self.languages: frozenset[str] | None = None
        self.lexical, self.lexical_weight = Lexical(), 0.0
        self.key = f"{spec} at {self._service.url or 'openai'} cut at {MOST_BYTES} bytes"

    @property
    def dim(self) -> int:
        """Dimensions of a vector; of a model that is not known, by asking for one."""
        return self._dim or self._ask(["."]).shape[1]

    def foresee(self, texts: Iterable[str]) -> None:
        """Say what encoding texts will cost, before the first call.

        Raises:
            ServiceError: it would pass the limit.
        """
        self._service.foresee(sum(count_tokens(_cut(text)) for text in texts))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row.

        Raises:
            ServiceError: the limit is reached, or an answer is not what it should be.
            OfflineError: the server cannot be reached.
        """
        self.foresee(texts)
        cut = [_cut(text) for text in texts]
        full = [n for n, text in enumerate(cut) if text.strip()]
        asked = [self._ask([cut[n] for n in rows]) for rows in _batches(cut, full)]
        vectors = np.zeros((len(texts), self.dim), np.float32)
        if asked:
            vectors[full] = np.concatenate(asked)
        return vectors

    def _ask(self, texts: list[str]) -> NDArray[np.float32]:
        """Send one request, and check every vector of the answer."""
        answer = self._service.call(
            lambda client: client.embeddings.create(
                model=self._service.model, input=texts, **self._shortened
            ),
            sum(map(count_tokens, texts)),
        )
        rows = {item.index: item.embedding for item in getattr(answer, "data", None) or ()}
        if sorted(rows) != list(range(len(texts))):
            raise self._bad(f"{len(rows)} vectors for {len(texts)} texts")
        sizes = {len(row) for row in rows.values()}
        if len(sizes) > 1 or (self._dim and sizes != {self._dim}):
            raise self._bad(f"vectors of {sorted(sizes)} dimensions, not {self._dim or 'one size'}")
        vectors = np.array([rows[n] for n in range(len(texts))], np.float32)
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)[:, None]
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise self._bad("a vector that is zero or not finite")
        self._dim = vectors.shape[1]
        unit: NDArray[np.float32] = (vectors / norms).astype(np.float32)
        return unit

    def _bad(self, what: str) -> ServiceError:
        where = self._service.url or "OpenAI"
        return ServiceError(f"{where} gave {what} ('{self.name}'); check the model; {RESUME}")


def _batches(texts: Sequence[str], rows: Sequence[int]) -> Iterator[list[int]]:
    """Cut rows to requests by number and tokens."""
    batch: list[int] = []
    tokens = 0
    for n in rows:
        more = count_tokens(texts[n])
        if batch and (len(batch) == MOST_TEXTS or tokens + more > MOST_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(n)
        tokens += more
    if batch:
        yield batch


def _cut(text: str) -> str:
    """Cut a text to what a model takes; texts of sentences are far from it."""
    return text.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore")
