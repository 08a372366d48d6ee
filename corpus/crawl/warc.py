"""WARC files that a crawl appends to.

Each record is a gzip member of its own, appended to ``NAME.warc.gz.open``; the file
loses the suffix when it is closed, and is never written again. Beside the standard
fields a response has ``X-Bitextile-Listed``: the date that the site's sitemap or feed
gave the URL, and ``X-Bitextile-Rights``: what its host said on mining it then. Bodies
are stored decoded; headers that told of their transfer, and cookies, are left out.
"""

from __future__ import annotations

import os
import zlib
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from corpus.errors import StorageError, write_advice
from corpus.warc import LISTED, RIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SUFFIX = ".warc.gz"
OPEN = ".open"
MAX_SIZE = 500_000_000  # bytes; a file that is larger is closed at the next commit
GZIP_LEVEL = 2  # a fifth of the time of level 9, for a tenth more bytes
LEFT_OUT = {"transfer-encoding", "content-encoding", "content-length", "set-cookie", "connection"}


class WarcStore:
    """The WARC files of one site."""

    def __init__(self, folder: Path, sizes: Mapping[str, int]) -> None:
        """Cut and close what a run that died left open, at the ``sizes`` that were committed."""
        self.folder = folder
        self._name = ""
        self._size = 0
        for path in sorted(folder.glob(f"*{SUFFIX}{OPEN}")):
            _close(path, sizes.get(path.name.removesuffix(OPEN), 0))

    def sizes(self) -> dict[str, int]:
        """Give the size of each closed file."""
        return {path.name: path.stat().st_size for path in self.folder.glob(f"*{SUFFIX}")}

    def append(self, record: bytes) -> tuple[str, int, int]:
        """Append a record as a gzip member; give its file, offset and length.

        Raises:
            StorageError: the disk is full; what was committed is safe.
        """
        if not self._name:
            self._name, self._size = self._next_name(), 0
        packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
        member = packer.compress(record) + packer.flush()
        with _writing(self._path) as path, path.open("ab") as file:
            file.write(member)
        offset, self._size = self._size, self._size + len(member)
        return self._name, offset, len(member)

    def sync(self) -> None:
        """Bring all records to disk: call it before the frontier's commit."""
        if self._name:
            with _writing(self._path) as path, path.open("rb+") as file:
                os.fsync(file.fileno())

    def rotate(self, *, force: bool = False) -> None:
        """Close a file that is large enough: call it after the frontier's commit."""
        if self._name and (force or self._size > MAX_SIZE):
            _close(self._path, self._size)
            self._name = ""

    @property
    def _path(self) -> Path:
        return self.folder / f"{self._name}{OPEN}"

    def _next_name(self) -> str:
        stems = (path.name.split(".")[0] for path in self.folder.glob(f"*{SUFFIX}*"))
        last = max((int(stem) for stem in stems if stem.isdecimal()), default=0)
        return f"{last + 1:05d}{SUFFIX}"


def response_record(
    url: str,
    status: int,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    fetched: str,
    listed: str | None,
    rights: str = "",
) -> bytes:
    """Build a WARC response record, not compressed; dates are ISO 8601 in UTC."""
    kept = [(k, v) for k, v in headers if k.lower() not in LEFT_OUT]
    http = StatusAndHeaders(
        f"{status} OK", [*kept, ("Content-Length", str(len(body)))], protocol="HTTP/1.1"
    )
    out = BytesIO()
    writer = WARCWriter(out, gzip=False)
    told = {LISTED: listed or "", RIGHTS: rights}
    fields = {"WARC-Date": fetched} | {name: value for name, value in told.items() if value}
    record = writer.create_warc_record(
        url, "response", payload=BytesIO(body), http_headers=http, warc_headers_dict=fields
    )
    writer.write_record(record)
    record.raw_stream.close()  # warcio's own copy, which it leaves open
    return out.getvalue()


def _close(path: Path, size: int) -> None:
    """Cut a file at its committed size and take the suffix off; an empty one goes."""
    with _writing(path):
        if size == 0:
            path.unlink()
            return
        with path.open("rb+") as file:
            file.truncate(min(size, path.stat().st_size))
            os.fsync(file.fileno())
        path.rename(path.with_name(path.name.removesuffix(OPEN)))


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        yield path
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; {write_advice(error)} and run the command "
            "again: it goes on where it stopped"
        ) from error
