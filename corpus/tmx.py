"""TMX 1.4b, the format in which translation tools exchange pairs.

A file is cut at the end of each unit, and each unit is parsed alone: a broken one costs
itself, memory stays bounded, and no entity that a file declares is known when its units
are read.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

import polars as pl
from lxml import etree

from corpus import __version__
from corpus.errors import InputError
from corpus.rows import read_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corpus.rows import Row

END = "</tu>"
BEGIN = re.compile(r"<tu[\s>]")
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
ENCODING = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([\w.-]{1,40})")
READABLE = re.compile(r"(?i)utf-?8|us-ascii|(?:iso-8859|windows)-\d{1,4}")
BAD_ENCODING = "bad_encoding not in the file's encoding"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
PROPS = ("origin", "licence")  # of a unit, beside its texts
HIGHLIGHT = "hi"  # the one element in a segment whose content is text, not markup

HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
<header creationtool="Bitextile" creationtoolversion="{version}" segtype="sentence" \
o-tmf="Bitextile" adminlang="en" srclang="{srclang}" datatype="plaintext"/>
<body>"""
NOT_IN_XML = r"[^\t\n\r\x20-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]"
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


def read_units(path: Path) -> Iterator[Row]:
    """Read a TMX file's units.

    Yields:
        Language → text, and the properties origin and licence where a unit has them.

    Raises:
        InputError: an encoding that is not read here.
    """
    encoding, errors = _encoding(path)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    for piece in read_pieces(path, END.encode(encoding)):
        if isinstance(piece, str):
            yield piece
            continue
        try:
            text = COMMENT.sub("", piece.decode(encoding, errors))
        except UnicodeDecodeError:
            yield BAD_ENCODING
            continue
        if begin := BEGIN.search(text):
            yield _unit(text[begin.start() :] + END, parser)


def _encoding(path: Path) -> tuple[str, str]:
    """Tell the encoding by a byte order mark, or by what the file says; and its error handler."""
    start = next(read_pieces(path, b">"), b"")
    start = b"" if isinstance(start, str) else start  # damage: the reader of units says so
    for mark, name in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if start.startswith(mark):
            return name, "surrogatepass"
    said = ENCODING.match(start.lstrip())
    name = said[1].decode() if said else "utf-8"
    try:
        if READABLE.fullmatch(name):
            return codecs.lookup(name).name, "surrogateescape"
    except LookupError:
        pass
    raise InputError(f"{path}: encoding '{name}' is not read here; save it as UTF-8")


def _unit(text: str, parser: etree.XMLParser) -> Row:
    try:
        unit = etree.fromstring(text.encode(), parser)
    except UnicodeEncodeError:
        return BAD_ENCODING
    except (etree.XMLSyntaxError, ValueError) as error:
        return f"bad_xml {error}"
    row = {node.get("type", ""): node.text or "" for node in unit.iterfind("prop")}
    row = {name: value for name, value in row.items() if name in PROPS}
    for variant in unit.iterfind("tuv"):
        lang = (variant.get(LANG) or variant.get("lang") or "").partition("-")[0].lower()
        segment = variant.find("seg")
        if lang and segment is not None:
            row.setdefault(lang, _text(segment))
    return row


def _text(segment: etree._Element) -> str:
    """Give a segment's text: markup inside it and what only tools read are left out."""
    parts = [segment.text or ""]
    for node in segment:
        parts += [_text(node) if node.tag == HIGHLIGHT else "", node.tail or ""]
    return "".join(parts)


def lines(pairs: pl.LazyFrame) -> pl.LazyFrame:
    """Give the lines of a TMX file that holds the pairs, a table sentence_pairs."""
    langs = pairs.select(pl.col("langs").unique()).collect()["langs"]
    sources = langs.str.split("-").list.first().unique()
    srclang = sources[0] if len(sources) == 1 else "*all*"
    head, tail = HEAD.format(version=__version__, srclang=srclang), "</body>\n</tmx>"
    lines = [
        pl.LazyFrame({"line": [head]}),
        pairs.select(line=unit()),
        pl.LazyFrame({"line": [tail]}),
    ]
    return pl.concat(lines)


def unit() -> pl.Expr:
    """Give a pair as a unit, in which what XML 1.0 cannot hold stands as it is."""
    langs = pl.col("langs").str.split("-")
    props = [
        pl.format(f'<prop type="{name}">{{}}</prop>', _escaped(name)).fill_null("")
        for name in PROPS
    ]
    return pl.format(
        '<tu tuid="{}" srclang="{}">{}{}'
        '<tuv xml:lang="{}"><seg>{}</seg></tuv><tuv xml:lang="{}"><seg>{}</seg></tuv></tu>',
        pl.col("pair_id"),
        langs.list.first(),
        *props,
        langs.list.first(),
        _escaped("src_text"),
        langs.list.last(),
        _escaped("tgt_text"),
    )


def _escaped(column: str) -> pl.Expr:
    return pl.col(column).str.replace_many(ESCAPES)
