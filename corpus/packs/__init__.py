"""Language packs: what this house knows of one language, a TOML file each.

A language without a pack is served by ``default.toml``, which explains every key;
``docs/language-packs.md`` tells how to write a pack and how to measure it.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import cached_property, lru_cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, ValidationError

from corpus.errors import InputError


class Pack(BaseModel):
    """How one language ends its sentences, and by which words it is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    abbreviations: frozenset[str] = frozenset()
    may_end: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()
    starters: frozenset[str] = frozenset()
    ordinals: bool = False
    max_initial: int = 1
    words: frozenset[str] = frozenset()

    @cached_property
    def common(self) -> frozenset[str]:
        """The words that a text in this language is known by: none without a list."""
        return self.words and self.words | {word.casefold() for word in self.starters}


@lru_cache(maxsize=64)
def load_pack(lang: str) -> Pack:
    """Load a language's pack, or the default one.

    Raises:
        InputError: the pack is broken.
    """
    try:
        return Pack.model_validate(tomllib.loads(pack_text(lang)))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InputError(f"language pack '{lang}' is broken: {error}") from error


@lru_cache(maxsize=64)
def pack_text(lang: str) -> str:
    """Read the file of a language's pack, or of the default one."""
    folder = files("corpus") / "packs"
    own = folder / f"{lang.partition('-')[0]}.toml"
    return (own if own.is_file() else folder / "default.toml").read_text(encoding="utf-8")


def pack_digest(lang: str) -> str:
    """Digest the pack of a language: what its sentences were made from."""
    return hashlib.sha256(pack_text(lang).encode()).hexdigest()
