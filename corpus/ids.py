"""The ids that tables know articles, texts and pairs by. They never change meaning."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def article_id(url: str) -> str:
    """Hash a canonical URL to 16 hex digits."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def article_version(title: str, lead: str, text: str) -> str:
    """Hash what an article says to 12 hex digits."""
    return hashlib.sha256("\0".join((title, lead, text)).encode()).hexdigest()[:12]


def text_key(text: str) -> bytes:
    """Hash a text's NFC form to 16 bytes: the key of vectors and duplicates."""
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode()).digest()[:16]


def pair_id(langs: str, src: Iterable[bytes], tgt: Iterable[bytes]) -> str:
    """Hash the languages and the text_keys of both sides to 16 hex digits."""
    parts = (langs.encode(), b"".join(src), b"".join(tgt))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
