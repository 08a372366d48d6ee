"""Encoders: what turns texts to vectors that compare across languages."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from align import onnx
from align.hosted import HostedEncoder
from align.services import Terms
from align.static import StaticEncoder, find_static
from align.transformer import TransformerEncoder
from corpus.errors import InputError, LanguageError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from align.lexical import Lexical

EMBEDDED = Path(__file__).parent / "embedded"
HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?")
PINNED = {"sentence-transformers/LaBSE": "836121a0533e5664b21c7aacc5d22951f2b8b25b"}
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


def load_encoder(spec: str, terms: Terms | None = None) -> Encoder:
    """Load an encoder.

    Args:
        spec: ``embedded``, the path of a model's folder, a Hub id (with ``@REVISION`` where it
            shall stay), or ``openai:MODEL``.
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
    if (found := HUB_ID.fullmatch(spec)) and not Path(spec).exists():
        return _from_hub(spec, *found.groups())
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


def _from_hub(spec: str, name: str, revision: str | None) -> Path:
    """Give the local snapshot of a Hub model, fetching it where it is not here yet."""
    from huggingface_hub import snapshot_download

    taken = revision or PINNED.get(name)
    fetch = partial(
        snapshot_download,
        name,
        revision=taken,
        allow_patterns=HUB_FILES,
        ignore_patterns=HUB_SKIPPED,
        etag_timeout=10,
    )
    try:
        return Path(fetch(local_files_only=True))
    except (OSError, ValueError):
        pass  # not here yet
    try:
        return Path(fetch())
    except Exception as error:  # httpx, hub and OS errors share no narrower root
        at = f" --revision {taken}" if taken else ""
        raise OfflineError(
            f"the encoder '{spec}' is not on this machine and the Hub did not give it "
            f"({type(error).__name__}); run 'hf download {name}{at}' where there is a network, "
            "check the name, or use --encoder embedded"
        ) from error


def _digest(folder: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
