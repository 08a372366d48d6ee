"""Our own reader of static models: one vector a token, in the model2vec layout.

It needs no torch, loads in a fraction of a second, and is faster than the tokenizer
alone: a sentence is cut at white space and each word's vector is computed once.
"""

from __future__ import annotations

import hashlib
import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from align.lexical import Lexical
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MOST_BYTES = {"tokenizer.json": 2**26, "model.safetensors": 2**32}
MOST_JSON_BYTES = 2**20
MOST_WORDS = 2**17  # words whose vectors are kept
BATCH = 8192  # texts
ODD_SPACES = re.compile("[\x1c-\x1f]")  # white space to Python, not to a tokenizer
LOCAL_NORMALIZERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "BertNormalizer", "StripAccents"}
SPLITTERS = {"WhitespaceSplit", "BertPreTokenizer", "Whitespace"}


class StaticEncoder:
    """Sums token vectors: an `align.encoders.Encoder` with ``tokenizer`` and ``rows``."""

    def __init__(
        self,
        name: str,
        tokenizer: bytes,
        rows: NDArray[np.float32],
        *,
        revision: str = "",
        languages: Iterable[str] | None = None,
        lexical: Lexical | None = None,
        lexical_weight: float = 0.0,
    ) -> None:
        """Take a ``tokenizer.json`` and its tokens' vectors [n_tokens, dim].

        Raises:
            InputError: the tokenizer is broken, or has another number of tokens.
        """
        self.name, self.revision, self.dim = name, revision, rows.shape[1]
        self.languages = None if languages is None else frozenset(languages)
        self.lexical, self.lexical_weight = lexical or Lexical(), lexical_weight
        self.tokenizer, self.rows = _tokenizer(tokenizer, len(rows)), rows
        truncation = self.tokenizer.truncation
        length = truncation["max_length"] if truncation else "any"
        self.key = f"{name} {revision} sum length {length} prompt '' dim {self.dim} numpy"
        self._by_word = not truncation and splits_at_space(json.loads(tokenizer))
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
        languages, weight = config.get("languages"), config.get("lexical_weight", 0.0)
        if not isinstance(weight, int | float) or not 0 <= weight < 1:
            raise InputError(f"{folder}: lexical_weight is {weight!r}, not from 0 to below 1")
        tokenizer = _read(inner / "tokenizer.json", MOST_BYTES["tokenizer.json"])
        weights = _read(inner / "model.safetensors", MOST_BYTES["model.safetensors"])
        digest = hashlib.sha256(hashlib.sha256(weights).digest() + tokenizer)
        return cls(
            name or folder.name,
            tokenizer,
            _token_rows(weights, tokenizer, inner / "model.safetensors"),
            revision=digest.hexdigest()[:12],
            languages=map(str, languages) if isinstance(languages, list) else None,
            lexical=Lexical.load(folder),
            lexical_weight=float(weight),
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row."""
        sums = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            sums[start : start + BATCH] = (self._by_words if self._by_word else self._sum)(batch)
        # In double precision, so that a row's bits do not move with the batch it came in.
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums, dtype=np.float64))
        sums /= np.where(norms > 1e-12, norms, np.inf).astype(np.float32)[:, None]
        return sums

    def _sum(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(count_tokens(self.tokenizer, texts) @ self.rows)

    def _by_words(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sum the vectors of words in place of tokens: the same sums, much sooner."""
        odd = [n for n, text in enumerate(texts) if ODD_SPACES.search(text)]
        words = [text.split() for text in texts]
        for n in odd:
            words[n] = []
        flat = list(chain.from_iterable(words))
        self._learn(set(flat))
        columns = np.fromiter(map(self._words.__getitem__, flat), np.int32, len(flat))
        ends = np.cumsum([0, *map(len, words)])
        shape = (len(texts), len(self._vectors))
        counts = csr_array((np.ones(len(flat), np.float32), columns, ends), shape=shape)
        sums = np.asarray(counts @ self._vectors)
        sums[odd] = self._sum([texts[n] for n in odd])
        return sums

    def _learn(self, words: set[str]) -> None:
        """Keep the vectors of words not met before; start anew when there are too many."""
        new = sorted(words - self._words.keys())  # neighbours in memory: faster
        if len(self._words) + len(new) > MOST_WORDS:
            self._words, new = {}, sorted(words)
        known, total = len(self._words), len(self._words) + len(new)
        if total > len(self._vectors):
            grown = np.zeros((2 * total, self.dim), np.float32)
            grown[:known] = self._vectors[:known]
            self._vectors = grown
        if new:
            self._vectors[known:total] = self._sum(new)
            self._words.update(zip(new, range(known, total), strict=True))


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> csr_array:
    """Count each text's tokens, [n, n_tokens]."""
    ids = [e.ids for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    ends = np.cumsum([0, *map(len, ids)])
    columns = np.fromiter(chain.from_iterable(ids), np.int32, int(ends[-1]))
    shape = (len(ids), tokenizer.get_vocab_size())
    counts = csr_array((np.ones(len(columns), np.float32), columns, ends), shape=shape)
    counts.sum_duplicates()
    return counts


def splits_at_space(tokenizer: dict[str, Any]) -> bool:
    """Tell whether a text's tokens are its words' tokens, whatever the text.

    Args:
        tokenizer: the content of a ``tokenizer.json``.
    """
    normalizers, splitters = (_chain(tokenizer.get(k)) for k in ("normalizer", "pre_tokenizer"))
    specials = [str(token.get("content", "")) for token in tokenizer.get("added_tokens") or []]
    return (
        all(_is_local(normalizer) for normalizer in normalizers)
        and bool(splitters and splitters[0].get("type") in SPLITTERS)
        and not any(len(special.split()) != 1 for special in specials)
    )


def _chain(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    if not part:
        return []
    return list(part.get("normalizers") or part.get("pretokenizers") or [part])


def _is_local(normalizer: dict[str, Any]) -> bool:
    if normalizer.get("type") != "Replace":
        return normalizer.get("type") in LOCAL_NORMALIZERS
    one_of = normalizer.get("pattern", {}).get("Regex", "")
    return bool(re.fullmatch(r"\[[^\s\\^\]-]+\]", one_of))  # letters that are no spaces


def find_static(folder: Path) -> tuple[dict[str, Any], Path] | None:
    """Tell whether a folder is a static model.

    Returns:
        Its configuration and the folder of its weights; None where it is another model.

    Raises:
        InputError: ``config.json`` or ``modules.json`` is broken.
    """
    config: dict[str, Any] = _json(folder / "config.json", dict)
    modules: list[Any] = _json(folder / "modules.json", list)
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
        value = json.loads(_read(path, MOST_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, kind):
        raise InputError(f"{path} holds a {type(value).__name__}; a {kind.__name__} is due")
    return value


def _read(path: Path, most: int) -> bytes:
    if not path.is_file():
        pickled = [p.name for end in ("bin", "pt", "pkl") for p in path.parent.glob(f"*.{end}")]
        hint = f" (pickled weights such as {pickled[0]} are not read)" if pickled else ""
        raise InputError(f"{path.parent} has no {path.name}{hint}")
    if path.stat().st_size > most:
        raise InputError(f"{path} has over {most} bytes, more than a static model needs")
    return path.read_bytes()


def _tokenizer(text: bytes, n_rows: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_buffer(text)
    except Exception as error:  # the library raises its bare root
        raise InputError(f"tokenizer.json is no tokenizer: {error}") from error
    if tokenizer.get_vocab_size() != n_rows:
        raise InputError(
            f"tokenizer.json has {tokenizer.get_vocab_size()} tokens, the weights have {n_rows} "
            "rows; they must be of one model"
        )
    tokenizer.no_padding()
    return tokenizer


def _token_rows(weights: bytes, tokenizer: bytes, path: Path) -> NDArray[np.float32]:
    """Give each token's vector; model2vec's unknown token has none."""
    try:
        tensors = load(weights)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is no safetensors file for numpy: {error}") from error
    name = "embeddings" if "embeddings" in tensors else "embedding.weight"
    rows = tensors.get(name, np.zeros(0))
    mapping, scale = tensors.get("mapping"), tensors.get("weights")
    if mapping is not None and rows.ndim == 2 and mapping.dtype.kind in "iu":
        inside = mapping.ndim == 1 and ((mapping >= 0) & (mapping < len(rows))).all()
        rows = rows[mapping] if inside else np.zeros(0)
    fits = rows.ndim == 2 and rows.size and (scale is None or scale.shape == rows.shape[:1])
    if not fits or rows.dtype.kind not in "if":
        raise InputError(f"{path}: no matrix 'embeddings' with matching 'weights' and 'mapping'")
    rows = rows.astype(np.float32)
    if scale is not None:
        rows *= scale.astype(np.float32)[:, None]
    if not np.isfinite(rows).all():
        raise InputError(f"{path} holds numbers that are not finite")
    unknown = _unknown(tokenizer) if name == "embeddings" else None
    if unknown is not None and unknown < len(rows):
        rows[unknown] = 0
    return rows


def _unknown(tokenizer: bytes) -> int | None:
    try:
        model = json.loads(tokenizer)["model"]
        vocabulary = model["vocab"]  # a list of tokens (Unigram) or their ids by token
        found = model["unk_id"] if "unk_id" in model else vocabulary.get(model.get("unk_token"))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"tokenizer.json is no tokenizer: {error}") from error
    return found if isinstance(found, int) and found >= 0 else None
