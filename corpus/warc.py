"""Reading WARC files that other programs, crashes and strangers wrote.

A file is a row of records, each a gzip member of its own or plain. Each is unpacked
here, within bounds, and parsed by warcio. A torn one (warcio ends silently there) is
reported as damage, and reading goes on at the next that begins like a record.
"""

from __future__ import annotations

import mmap
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from warcio.archiveiterator import ArchiveIterator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_BODY = 5_000_000  # bytes of a page; what is longer comes cut, one byte over
MAX_RECORD = MAX_BODY + 1_000_000  # a record with its headers, unpacked
MAX_SKIP = 4_000_000_000  # bytes that a longer one may unpack to; then the next is searched
CHUNK = 65_536
MAGIC = b"\x1f\x8b\x08"
PLAIN = b"WARC/"
RECORD = re.compile(MAGIC + b"|(?:(?<=\\n)|\\A)" + PLAIN)
LENGTH = re.compile(rb"\A[^\0]*?\r\nContent-Length:[ \t]*(\d{1,15})\r\n", re.IGNORECASE)
LISTED = "X-Bitextile-Listed"  # the date that the sitemap or feed gave for the page
RIGHTS = "X-Bitextile-Rights"  # what robots.txt and tdmrep.json said of the page then
ROBOTS = "x-robots-tag"  # the one header of which several count


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
    rights: str = ""


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in a file where no record could be read."""

    offset: int
    reason: str


class Record(NamedTuple):
    """A piece of a file: a record, or what is torn before the next one.

    Attributes:
        content: the first ``MAX_RECORD + 1`` bytes, unpacked; of a torn one what came.
    """

    offset: int
    end: int
    content: bytes
    is_packed: bool
    is_whole: bool


def read_records(path: Path) -> Iterator[Page | Damage]:
    """Read the responses of a file, and where it is damaged.

    A record that is longer than the bounds comes as a page with a body of
    ``MAX_BODY + 1`` bytes.
    """
    for record in cut_records(path):
        if record.is_whole or len(record.content) > MAX_RECORD:
            yield from parse_record(record.content, record.offset)
        else:
            # The pieces between two good records are one damage, not many.
            what = "gzip member" if record.is_packed else "record"
            yield Damage(record.offset, f"torn {what} of {record.end - record.offset} bytes")


def cut_records(path: Path) -> Iterator[Record]:
    """Cut a file into records; every byte is of one."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offset = 0
        while offset < len(data):
            is_plain = data[offset : offset + len(PLAIN)] == PLAIN
            content, end = (_plain if is_plain else _unpack)(data, offset)
            next_at = end or _next_record(data, offset + 1)
            if is_plain and end is None:
                content = data[offset : min(next_at, offset + MAX_RECORD)]
            yield Record(offset, next_at, content, not is_plain, end is not None)
            offset = next_at


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
    """Unpack the member at an offset: its first ``MAX_RECORD + 1`` bytes, and its end.

    No end where it is torn or unpacks to more than ``MAX_SKIP`` bytes; then what came.
    """
    unpacker = zlib.decompressobj(wbits=31)
    pieces, n_out, at = [], 0, offset
    try:
        while not unpacker.eof and n_out <= MAX_SKIP and at < len(data):
            chunk = data[at : at + CHUNK]
            at += len(chunk)
            while chunk and not unpacker.eof and n_out <= MAX_SKIP:
                piece = unpacker.decompress(chunk, MAX_RECORD + 1)
                if n_out <= MAX_RECORD:
                    pieces.append(piece[: MAX_RECORD + 1 - n_out])
                n_out += len(piece)
                chunk = unpacker.unconsumed_tail
    except zlib.error:
        return _salvaged(data, offset), None
    return b"".join(pieces), at - len(unpacker.unused_data) if unpacker.eof else None


def _salvaged(data: mmap.mmap, offset: int) -> bytes:
    """Unpack what there is before the place where a member is torn, to a few bytes."""
    unpacker = zlib.decompressobj(wbits=31)
    pieces, n_out = [], 0
    with suppress(zlib.error):
        for at in range(offset, len(data), 16):
            pieces.append(unpacker.decompress(data[at : at + 16], MAX_RECORD))
            n_out += len(pieces[-1])
            if n_out > MAX_RECORD:
                break
    return b"".join(pieces)[: MAX_RECORD + 1]


def _plain(data: mmap.mmap, offset: int) -> tuple[bytes, int | None]:
    """Cut the record that stands unpacked at an offset, as `_unpack` does."""
    head = data[offset : offset + CHUNK].partition(b"\r\n\r\n")[0]
    match = LENGTH.match(head + b"\r\n")
    end = offset + len(head) + 4 + int(match[1]) if match else len(data) + 1
    if end > len(data):
        return b"", None
    record = data[offset : min(end, offset + MAX_RECORD + 1)]
    while data[end : end + 2] == b"\r\n":
        end += 2
    return record, end


def _next_record(data: mmap.mmap, start: int) -> int:
    """Find what next begins like a WARC record, packed or not, or the file's end."""
    for match in RECORD.finditer(data, start):
        at = match.start()
        try:
            if match[0] == PLAIN or (
                zlib.decompressobj(wbits=31).decompress(data[at : at + 512], 5) == PLAIN
            ):
                return at
        except zlib.error:
            pass
    return len(data)


def parse_record(record: bytes, offset: int) -> list[Page | Damage]:
    """Read a member's records, most often one; where it is cut, the last of many is lost."""
    found: list[Page | Damage] = []
    try:
        for entry in ArchiveIterator(BytesIO(record)):
            if entry.rec_type is None:
                found.append(Damage(offset, "no WARC record: no type"))
            if entry.rec_type != "response" or entry.http_headers is None:
                continue
            warc = {name.lower(): value for name, value in entry.rec_headers.headers}
            http: dict[str, str] = {}
            for name, value in entry.http_headers.headers:
                before = http.get(ROBOTS, "") if name.lower() == ROBOTS else ""
                http[name.lower()] = f"{before}, {value}" if before else value
            status = entry.http_headers.get_statuscode() or ""
            page = Page(
                url=warc.get("warc-target-uri", "").strip("<>"),
                body=entry.content_stream().read(MAX_BODY + 1),
                offset=offset,
                fetched=parse_date(warc.get("warc-date", "")),
                status=int(status) if status.isdecimal() else 0,
                headers=http,
                listed=parse_date(warc.get(LISTED.lower()) or http.get(LISTED.lower()) or ""),
                rights=warc.get(RIGHTS.lower(), ""),
            )
            found.append(page)
    except Exception as error:  # warcio raises what it likes on broken headers
        found.append(Damage(offset, f"no WARC record: {type(error).__name__}"))
    if len(record) > MAX_RECORD and len(found) > 1:
        advice = "many records in one gzip member: split it by warcio recompress"
        found[-1] = Damage(offset, advice)
    return found
