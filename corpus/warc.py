"""Reading WARC files that other programs, crashes and strangers wrote.

A file is a row of gzip members, one record each. Each member is unpacked here,
within bounds, and parsed by warcio. A torn member (warcio ends silently there) is
reported as damage, and reading goes on at the next member that holds a record.
"""

from __future__ import annotations

import mmap
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import TYPE_CHECKING

from warcio.archiveiterator import ArchiveIterator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_BODY = 5_000_000  # bytes of a page; what is longer comes cut, one byte over
MAX_RECORD = MAX_BODY + 1_000_000  # a record with its headers, unpacked
CHUNK = 65_536
MAGIC = b"\x1f\x8b\x08"
LISTED = "X-Bitextile-Listed"  # the date that the sitemap or feed gave for the page


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was fetched."""

    url: str
    body: bytes
    offset: int = 0
    fetched: datetime | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    listed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in a file where no record could be read."""

    offset: int
    reason: str


def read_records(path: Path) -> Iterator[Page | Damage]:
    """Read the responses of a file, and where it is damaged.

    A record that is longer than the bounds comes as a page with a body of
    ``MAX_BODY + 1`` bytes.
    """
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offset = 0
        while offset < len(data):
            record, end = _unpack(data, offset)
            if end is None:
                # The pieces between two good members are one damage, not many.
                end = _next_member(data, offset + 1)
                if len(record) <= MAX_RECORD:
                    yield Damage(offset, f"torn gzip member of {end - offset} bytes")
                    offset = end
                    continue
            yield from _parse(record, offset)
            offset = end


def parse_date(text: str) -> datetime | None:
    """Read an ISO 8601 or HTTP date; UTC where it names no zone."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = parse(text.strip())
            return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _unpack(data: mmap.mmap, offset: int) -> tuple[bytes, int | None]:
    """Unpack the member at an offset; no end where it is torn or longer than the bound."""
    unpacker = zlib.decompressobj(wbits=31)
    pieces, n_out, at = [], 0, offset
    try:
        while not unpacker.eof and n_out <= MAX_RECORD and at < len(data):
            chunk = data[at : at + CHUNK]
            at += len(chunk)
            while chunk and n_out <= MAX_RECORD:
                pieces.append(unpacker.decompress(chunk, MAX_RECORD + 1 - n_out))
                n_out += len(pieces[-1])
                chunk = unpacker.unconsumed_tail
    except zlib.error:
        return b"", None
    if not unpacker.eof:
        return b"".join(pieces) if n_out > MAX_RECORD else b"", None
    return b"".join(pieces), at - len(unpacker.unused_data)


def _next_member(data: mmap.mmap, start: int) -> int:
    """Find the next member that begins like a WARC record, or the file's end."""
    at = data.find(MAGIC, start)
    while at >= 0:
        try:
            if zlib.decompressobj(wbits=31).decompress(data[at : at + 512], 5) == b"WARC/":
                return at
        except zlib.error:
            pass
        at = data.find(MAGIC, at + 1)
    return len(data)


def _parse(record: bytes, offset: int) -> Iterator[Page | Damage]:
    try:
        for entry in ArchiveIterator(BytesIO(record)):
            if entry.rec_type is None:
                yield Damage(offset, "no WARC record: no type")
            if entry.rec_type != "response" or entry.http_headers is None:
                continue
            warc = {name.lower(): value for name, value in entry.rec_headers.headers}
            http = {name.lower(): value for name, value in entry.http_headers.headers}
            status = entry.http_headers.get_statuscode() or ""
            yield Page(
                url=warc.get("warc-target-uri", "").strip("<>"),
                body=entry.content_stream().read(MAX_BODY + 1),
                offset=offset,
                fetched=parse_date(warc.get("warc-date", "")),
                status=int(status) if status.isdecimal() else 0,
                headers=http,
                listed=parse_date(warc.get(LISTED.lower()) or http.get(LISTED.lower()) or ""),
            )
    except Exception as error:  # warcio raises what it likes on broken headers
        yield Damage(offset, f"no WARC record: {type(error).__name__}")
