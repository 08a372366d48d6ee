"""Articles that must not come back: their list, and WARC files without them.

An article is known by the hash of its canonical URL; the list holds nothing else of it.
A record is taken out of a WARC file by another one of the same length in its place, so
that all other records, and whatever points at them, stay where they are.
"""

from __future__ import annotations

import html
import re
import shutil
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING

from corpus.errors import InputError
from corpus.files import write_text, write_whole
from corpus.ids import article_id
from corpus.markup import article_url, canonical_url
from corpus.warc import MAX_RECORD, Page, cut_records, parse_record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from corpus.sites import Profile
    from corpus.warc import Record
    from corpus.workspace import Workspace

ID = re.compile(r"[0-9a-f]{16}")
NOTHING = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
PLAIN_NOTHING = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: %012d\r\n\r\n"
END = b"\r\n\r\n"
CHARSETS = ("utf-8", "cp1252")  # that a site's pages may quote an article in


def load(workspace: Workspace) -> frozenset[str]:
    """Read the ids of articles that must not come back.

    Raises:
        InputError: the list is broken.
    """
    path = workspace.forgotten
    try:
        ids = frozenset(path.read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if wrong := next((name for name in sorted(ids) if not ID.fullmatch(name)), None):
        raise InputError(f"{path}: '{wrong[:40]}' is no article id of 16 hex digits; remove it")
    return ids


def add(workspace: Workspace, ids: Iterable[str]) -> frozenset[str]:
    """Add ids to the list; give all."""
    every = load(workspace) | frozenset(ids)
    write_text(workspace.forgotten, "".join(f"{name}\n" for name in sorted(every)))
    return every


def id_of(url: str) -> str:
    """Give an article's id from any form of its URL; "" for what is none."""
    try:
        return article_id(canonical_url(url))
    except ValueError:
        return ""


def is_of(page: Page, profile: Profile, ids: Collection[str]) -> bool:
    """Tell whether a page is one of some articles, by its URL or by its own word."""
    if not ids or id_of(page.url) in ids:
        return bool(ids)
    from trafilatura import load_html  # 30 MB that a crawl does not need

    tree = load_html(page.body) if b"canonical" in page.body else None
    try:
        return tree is not None and article_id(article_url(page.url, tree, profile)) in ids
    except ValueError:
        return False


class Scrub:
    """Takes articles, and what other pages quote of them, out of WARC files."""

    def __init__(self, ids: Collection[str], passages: Iterable[str] = ()) -> None:
        """Take out the articles of some ids, and blank passages on other pages."""
        self.ids = ids
        forms = {form for text in passages for form in (text, html.escape(text))}
        coded = {form.encode(name, "ignore") for form in forms for name in CHARSETS}
        self._quotes = re.compile(b"|".join(map(re.escape, sorted(coded, key=len, reverse=True))))
        self._has_quotes = bool(coded)

    def __call__(self, source: Path, profile: Profile, target: Path | None = None) -> set[int]:
        """Scrub a file, or copy it scrubbed.

        Returns:
            The offsets of the records that held one of the articles.
        """
        gone: set[int] = set()
        patches: dict[int, bytes] = {}
        for record in cut_records(source):
            kept = self._without(record, profile)
            if kept is None:
                gone.add(record.offset)
            if kept != record.content:
                pack = _packed if record.is_packed else _plain
                patches[record.offset] = pack(kept or b"", record.end - record.offset)
        if patches or target:
            write_whole(target or source, partial(_copy, source, patches))
        return gone

    def _without(self, record: Record, profile: Profile) -> bytes | None:
        """Give a record with quotes blanked, as long as before; None where it must go."""
        content = record.content
        pages = (page for page in parse_record(content, 0) if isinstance(page, Page))
        if any(is_of(page, profile, self.ids) for page in pages):
            return None
        if not self._has_quotes or not self._quotes.search(content):
            return content
        # What is torn or was cut cannot be packed again.
        if not record.is_whole or len(content) > MAX_RECORD:
            return None
        return self._quotes.sub(lambda match: b" " * len(match[0]), content)


def _copy(source: Path, patches: dict[int, bytes], target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        for offset, patch in patches.items():
            file.seek(offset)
            file.write(patch)


def _packed(record: bytes, size: int) -> bytes:
    """Pack a record as a gzip member of a size, filled up by a comment (RFC 1952)."""
    for content in filter(None, (record, NOTHING)):
        packer = zlib.compressobj(9, wbits=-15)
        body = packer.compress(content) + packer.flush()
        room = size - len(body) - 19  # header of 10, end of the comment, trailer of 8
        if room >= 0:
            header = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff" + b" " * room + b"\x00"
            return header + body + struct.pack("<II", zlib.crc32(content), len(content))
    return b"\x00" * size  # a torn one, shorter than any record


def _plain(record: bytes, size: int) -> bytes:
    """Give a record that stands unpacked, or one of spaces in its place."""
    room = size - len(PLAIN_NOTHING % 0) - len(END)
    return record or (PLAIN_NOTHING % room + b" " * room + END if room >= 0 else b" " * size)
