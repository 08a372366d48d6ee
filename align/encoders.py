"""Encoders: what turns texts to vectors that compare across languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from align import onnx
from align.hosted import HostedEncoder
from align.lexical import Lexical
from align.services import Terms
from align.static import StaticEncoder, find_static
from corpus.errors import InputError, LanguageError, MissingExtraError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

EMBEDDED = Path(__file__).parent / "embedded"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.bin", "README.md"]
HUB_SKIPPED = ["onnx/*", "openvino/*", "pytorch_model.bin", "tf_model*", "*.onnx"]


class Encoder(Protocol):
    """What every encoder offers.

    Attributes:
        name: how the user named it, for tables and reports.
        revision: changes with the weights.
        key: everything that shapes a vector; vectors of equal keys and texts are equal.
        languages: languages it was made for, where known.
        lexical: the n-gram score that belongs to it.
        lexical_weight: how much that score counts beside the cosine.
    """

    name: str
    revision: str
    key: str
    languages: frozenset[str] | None
    lexical: Lexical
    lexical_weight: float

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row."""
        ...


class TransformerEncoder:
    """A model of sentence-transformers (extra ``train``)."""

    def __init__(self, name: str, folder: Path, revision: str) -> None:
        """Load a model from a local folder; see `open_transformer`."""
        self._model = open_transformer(name, folder)
        self.name, self.revision = name, revision
        self.dim = int(self._model.encode([""]).shape[1])
        self.languages: frozenset[str] | None = None
        self.lexical, self.lexical_weight = Lexical(), 0.0
        modules = " ".join(type(module).__name__ for module in self._model)
        prompt = f"{self._model.default_prompt_name or ''}"
        self.key = (
            f"{name} {revision} [{modules}] length {self._model.max_seq_length} "
            f"prompt '{prompt}' dim {self.dim} torch"
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        rows = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        vectors: NDArray[np.float32] = np.asarray(rows, np.float32).copy()
        vectors[[not text.strip() for text in texts]] = 0
        return vectors


def open_transformer(name: str, folder: Path) -> Any:  # noqa: ANN401 - no torch in the types
    """Open a folder as a SentenceTransformer; nothing in it is run as code.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        InputError: the folder is no model, or only has pickled weights.
    """
    if not any(folder.rglob("*.safetensors")):
        raise InputError(f"{folder} has no .safetensors weights; pickled ones are not read")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError(f"the encoder {name}", "train") from error
    try:
        return SentenceTransformer(
            str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{folder} is no model of sentence-transformers: {error}") from error


def load_encoder(spec: str, terms: Terms | None = None) -> Encoder:
    """Load an encoder.

    Args:
        spec: ``embedded``, the path of a model's folder, a Hub id, or ``openai:MODEL``.
        terms: where an API is, and what asking it may cost.

    Raises:
        InputError: there is no such model, or its folder is not what it should be.
        MissingExtraError: the model needs the extra ``train`` or ``openai``.
        OfflineError: the model is not here and cannot be fetched.
        ServiceError: a limit is given for a model of unknown price.
    """
    if spec.startswith("openai:"):
        return HostedEncoder(spec, terms or Terms())
    folder = model_folder(spec)
    if find_static(folder) is not None:
        return StaticEncoder.load(folder, name=spec)
    if (folder / onnx.FACTS).is_file():
        return onnx.OnnxEncoder(spec, folder)
    revision = _digest(folder) if Path(spec).is_dir() else folder.name[:12]
    return TransformerEncoder(spec, folder, revision)


def model_folder(spec: str) -> Path:
    """Find the local folder of a model, fetching it from the Hub where it is not here.

    Raises:
        InputError: ``spec`` names no model.
        OfflineError: it cannot be fetched.
    """
    if spec == "embedded":
        return EMBEDDED
    if Path(spec).is_dir():
        return Path(spec)
    if HUB_ID.fullmatch(spec) and not Path(spec).exists():
        return _from_hub(spec)
    raise InputError(
        f"no encoder '{spec}'; give 'embedded', the path of a model's folder, "
        "a Hub id such as sentence-transformers/LaBSE, or openai:MODEL"
    )


def check_languages(
    encoder: Encoder, languages: Iterable[str], *, any_language: bool = False
) -> None:
    """Refuse languages that an encoder was not made for.

    Raises:
        LanguageError: names them, and the ways out.
    """
    if any_language or encoder.languages is None:
        return
    unknown = sorted(set(languages) - encoder.languages)
    if unknown:
        raise LanguageError(
            f"the encoder '{encoder.name}' does not know {', '.join(unknown)} (it knows "
            f"{', '.join(sorted(encoder.languages))}); take --encoder sentence-transformers/LaBSE, "
            "train your own with distill run, or go on with --any-language"
        )


def _from_hub(spec: str) -> Path:
    """Give the local snapshot of a Hub model, fetching it where it is not here yet."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(spec, local_files_only=True))
    except (OSError, ValueError):
        pass  # not here yet
    try:
        fetched = snapshot_download(
            spec, allow_patterns=HUB_FILES, ignore_patterns=HUB_SKIPPED, etag_timeout=10
        )
    except Exception as error:  # httpx, hub and OS errors share no narrower root
        raise OfflineError(
            f"the encoder '{spec}' is not on this machine and the Hub did not give it "
            f"({type(error).__name__}); run 'hf download {spec}' where there is a network, "
            "check the name, or use --encoder embedded"
        ) from error
    return Path(fetched)


def _digest(folder: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
