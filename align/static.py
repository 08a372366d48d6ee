"""Our own reader of static models: one vector a token, in the model2vec layout.

It needs no torch, loads in a fraction of a second, and is faster than the tokenizer
alone: a sentence is cut at white space and each word's vector is computed once.
"""

from __future__ import annotations

import hashlib
import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from align.lexical import Lexical
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MOST_BYTES = {"config.json": 2**20, "tokenizer.json": 2**26, "model.safetensors": 2**32}
MOST_WORDS = 2**17  # words whose vectors are kept
BATCH = 8192  # texts
LOCAL_NORMALIZERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "BertNormalizer", "StripAccents"}
SPLITTERS = {"WhitespaceSplit", "BertPreTokenizer", "Whitespace"}


class StaticEncoder:
    """Sums token vectors; see `align.encoders.Encoder` for the attributes."""

    def __init__(
        self,
        name: str,
        tokenizer: Tokenizer,
        rows: NDArray[np.float32],
        *,
        revision: str = "",
        languages: Iterable[str] | None = None,
        lexical: Lexical | None = None,
        lexical_weight: float = 0.0,
    ) -> None:
        """Take a tokenizer and its tokens' vectors [n_tokens, dim]."""
        self.name, self.revision, self.dim = name, revision, rows.shape[1]
        self.key = f"{name} {revision} [sum] length none prompt '' dim {self.dim} numpy"
        self.languages = None if languages is None else frozenset(languages)
        self.lexical, self.lexical_weight = lexical or Lexical(), lexical_weight
        self._tokenizer, self._rows = tokenizer, rows
        self._by_word = tokenizer.truncation is None and _splits_at_space(tokenizer)
        self._words: dict[str, int] = {}
        self._vectors = np.zeros((1024, self.dim), np.float32)

    @classmethod
    def load(cls, folder: Path, name: str | None = None) -> StaticEncoder:
        """Read a model's folder, which nobody has vouched for.

        Raises:
            InputError: a file is missing, too large, or not what it should be.
        """
        found = find_static(folder)
        if found is None:
            raise InputError(f"{folder} is no static model (config.json, modules.json)")
        config, inner = found
        text, tensors = _read(inner, "tokenizer.json"), inner / "model.safetensors"
        try:
            tokenizer = Tokenizer.from_str(text.decode())
        except Exception as error:  # the tokenizers library raises bare Exception
            raise InputError(f"{inner / 'tokenizer.json'} is no tokenizer: {error}") from error
        tokenizer.no_padding()
        rows, digest = _load_rows(tensors, tokenizer, _unknown(text))
        languages = config.get("languages")
        weight = config.get("lexical_weight", 0.0)
        if not isinstance(weight, int | float) or not 0 <= weight < 1:
            raise InputError(f"{folder}: lexical_weight is {weight!r}; a number from 0 to 1 is due")
        return cls(
            name or folder.name,
            tokenizer,
            rows,
            revision=hashlib.sha256(digest + text).hexdigest()[:12],
            languages=[str(lang) for lang in languages] if isinstance(languages, list) else None,
            lexical=Lexical.load(folder),
            lexical_weight=float(weight),
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row."""
        sums = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            by_word = self._by_word and not any(map(_ODD_SPACES.intersection, batch))
            sums[start : start + BATCH] = (
                self._sum_words(batch) if by_word else count_tokens(self._tokenizer, batch) @ self._rows
            )
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        return sums / np.where(norms > 1e-12, norms, np.inf)[:, None]

    def _sum_words(self, texts: Sequence[str]) -> NDArray[np.float32]:
        words = [text.split() for text in texts]
        flat = list(chain.from_iterable(words))
        self._learn(set(flat))
        columns = np.fromiter(map(self._words.__getitem__, flat), np.int32, len(flat))
        ends = np.cumsum([0, *map(len, words)])
        shape = (len(texts), len(self._vectors))
        counts = csr_array((np.ones(len(flat), np.float32), columns, ends), shape=shape)
        return np.asarray(counts @ self._vectors)

    def _learn(self, words: set[str]) -> None:
        """Keep the vectors of words not met before; start anew when there are too many."""
        new = sorted(words - self._words.keys())
        if len(self._words) + len(new) > MOST_WORDS:
            self._words, new = {}, sorted(words)
        known, total = len(self._words), len(self._words) + len(new)
        if total > len(self._vectors):
            grown = np.zeros((2 * total, self.dim), np.float32)
            grown[:known] = self._vectors[:known]
            self._vectors = grown
        if new:
            self._vectors[known:total] = count_tokens(self._tokenizer, new) @ self._rows
            self._words.update(zip(new, range(known, total), strict=True))


_ODD_SPACES = frozenset("\x1c\x1d\x1e\x1f")  # white space to Python, not to the tokenizer


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> csr_array:
    """Count each text's tokens, [n, n_tokens]."""
    ids = [e.ids for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    ends = np.cumsum([0, *map(len, ids)])
    columns = np.fromiter(chain.from_iterable(ids), np.int32, int(ends[-1]))
    shape = (len(ids), tokenizer.get_vocab_size())
    return csr_array((np.ones(len(columns), np.float32), columns, ends), shape=shape)


def find_static(folder: Path) -> tuple[dict[str, Any], Path] | None:
    """Tell whether a folder is a static model.

    Returns:
        Its configuration and the folder of its weights; None where it is another model.

    Raises:
        InputError: ``config.json`` or ``modules.json`` is broken.
    """
    config = _json(folder / "config.json", dict)
    modules = _json(folder / "modules.json", list)
    first = modules[0] if modules and isinstance(modules[0], dict) else {}
    if str(first.get("type", "")).endswith("StaticEmbedding"):
        inner = (folder / str(first.get("path", ""))).resolve()
        if not inner.is_relative_to(folder.resolve()):
            raise InputError(f"{folder / 'modules.json'} points out of its folder")
        return config, inner
    return (config, folder) if config.get("model_type") == "model2vec" else None


def _json(path: Path, kind: type) -> Any:  # noqa: ANN401 - JSON
    if not path.is_file():
        return kind()
    try:
        value = json.loads(_read(path.parent, path.name, MOST_BYTES["config.json"]))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, kind):
        raise InputError(f"{path} holds a {type(value).__name__}; a {kind.__name__} is due")
    return value


def _read(folder: Path, name: str, most: int | None = None) -> bytes:
    path = folder / name
    if not path.is_file():
        pickled = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pkl")]
        hint = f" (pickled weights such as {pickled[0].name} are not read)" if pickled else ""
        raise InputError(f"{folder} has no {name}{hint}")
    if path.stat().st_size > (most or MOST_BYTES[name]):
        raise InputError(f"{path} is over {most or MOST_BYTES[name]} bytes; no model needs that")
    return path.read_bytes()
