"""Sentence pairs that come as files: Moses, TMX, TSV, CSV, JSONL or Parquet; see `corpus.blocks`.

Texts stay as they are, to the last space. What a file says of a pair (origin, licence,
scores, whether it is kept and why not) goes before what the command says.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import polars as pl

from corpus import reserved, tmx
from corpus.blocks import Import, take
from corpus.errors import InputError, choices
from corpus.languages import check_pair
from corpus.pairs import IMPORT, language_pairs
from corpus.rows import SUFFIXES, TOO_LARGE, kind_of, read_cells, read_pieces, read_rows, text_of
from corpus.stages import Made
from corpus.tables import REJECTS, SENTENCE_PAIRS, pair_id, text_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from corpus.rows import Row
    from corpus.stages import StageRun
    from corpus.workspace import Workspace

BLOCK = 20_000  # rows of a part
FIELDS = ("src", "tgt", "langs", "origin", "licence")
SCORES = ("sim", "lexical", "margin", "q")
NAMED = re.compile(r"(?:^|[-._])([a-z]{2,3}-[a-z]{2,3})$")
SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Source:
    """Files of pairs and what holds for all of them.

    Attributes:
        paths: one file, or two of lines that stand side by side.
        langs: of the two sides, in the files' order; by the files' names if empty.
        columns: field → column, where they differ.
        origin: what pairs are called that name no origin.
        licence: of pairs that name none.
    """

    paths: Sequence[Path]
    langs: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    origin: str = "import"
    licence: str = "unknown"


def import_pairs(
    workspace: Workspace,
    source: Source,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> StageRun:
    """Import the pairs of a bitext; where the workspace has them the other way, turned.

    Raises:
        InputError: a file cannot be read or has no rows, one of two has more lines, or
            most of the rows are rejected for one reason; what was imported earlier stays.
        LanguageError: the languages are unknown or not told.
    """
    said = check_pair(_languages(source))
    reverse = "-".join(reversed(said.split("-")))
    present = language_pairs(workspace)
    langs = reverse if reverse in present and said not in present else said
    kept_out = reserved.load(workspace)
    decides = [source.columns, source.origin, source.licence, said, langs, kept_out]
    job = Import(
        IMPORT,
        workspace.pair_stage(langs, IMPORT.name),
        source.paths,
        decides,
        BLOCK,
        partial(_rows, source.paths, said, source.columns),
        (list(source.columns.values()), "src=lb,tgt=en"),
        lambda _, row: _pair(row, source, said, langs),
        partial(_gather, kept_out),
    )
    return take(job, progress=progress, dry=dry)


def _languages(source: Source) -> str:
    for name in source.columns:
        if name not in FIELDS:
            raise InputError(f"unknown field {choices(name, FIELDS)}; --columns src=lb,tgt=en")
    kinds = [kind_of(path).removeprefix(".") for path in source.paths]
    known = {suffix.removeprefix(".") for suffix in (*SUFFIXES, ".tmx")}
    if len(kinds) == 1 and kinds[0] not in known:
        raise InputError(
            f"cannot import pairs of {choices(kinds[0], known)}; or give two files of lines"
        )
    stem = source.paths[0].name.removesuffix(".gz").rpartition(".")[0]
    found = NAMED.search(stem.lower())
    langs = source.langs or ("-".join(kinds) if len(kinds) == 2 else found and found[1])
    if not langs:
        raise InputError(f"{source.paths[0]} does not name its languages: give --lang lb-en")
    return langs


def read_texts(paths: Sequence[Path], langs: str) -> Iterator[tuple[str, str] | str]:
    """Read the two texts of each pair of a bitext, or why there are none.

    Args:
        paths: TMX, TSV with or without a header, CSV, JSONL, Parquet, or two files of lines.
        langs: the languages of its sides.

    Raises:
        InputError: one of two files has more lines than the other, or a table is broken.
    """
    for row in _rows(paths, langs, {}):
        yield row if isinstance(row, str) else _texts(row, langs, {})


def _rows(paths: Sequence[Path], langs: str, columns: Mapping[str, str]) -> Iterator[Row]:
    """Read the rows of a bitext, whatever its form."""
    if len(paths) == 2:
        yield from _lines(paths, langs)
    elif kind_of(paths[0]) == ".tmx":
        yield from tmx.read_units(paths[0])
    elif _is_plain(paths[0], langs, columns):
        for cells in read_cells(paths[0], "\t"):
            yield cells if isinstance(cells, str) else _first_two(cells)
    else:
        for row in read_rows(paths[0]):
            inner = row.get("translation") if not isinstance(row, str) else None
            yield inner if isinstance(inner, dict) else row  # as `datasets` keeps translations


def _lines(paths: Sequence[Path], langs: str) -> Iterator[Row]:
    ends = tuple(kind_of(path).removeprefix(".") for path in paths)
    names = ends if sorted(ends) == sorted(langs.split("-")) else ("src", "tgt")
    for n, lines in enumerate(zip_longest(*map(read_pieces, paths))):
        texts = [text_of(line) for line in lines if isinstance(line, bytes)]
        damage = [line for line in lines if isinstance(line, str)]
        if len(texts) == len(lines):
            yield dict(zip(names, texts, strict=True))
        elif not damage:
            short = paths[lines.index(None)]
            raise InputError(f"{short} has {n} lines, the other file more")
        else:
            yield damage[0]
            if damage != [TOO_LARGE] * len(damage):
                return


def _first_two(cells: list[str]) -> Row:
    return {"src": cells[0], "tgt": cells[1]} if len(cells) > 1 else "bad_row no tab"


def _is_plain(path: Path, langs: str, columns: Mapping[str, str]) -> bool:
    """Tell whether a file is a TSV without a header."""
    if columns or kind_of(path) in set(SUFFIXES) - {".tsv"}:
        return False
    first = list(next(read_cells(path, "\t"), []))
    return not all(any(name in first for name in _names(side, langs, {})) for side in (0, 1))


def _names(side: int, langs: str, columns: Mapping[str, str]) -> tuple[str, ...]:
    """Give what the column of a side may be called."""
    name = ("src", "tgt")[side]
    return (columns[name],) if name in columns else (f"{name}_text", name, langs.split("-")[side])


def _pair(row: Mapping[str, object], source: Source, said: str, langs: str) -> dict[str, Any] | str:
    """Make a pair of a row, or say why not: the reason, a space, the value."""
    sides = _texts(row, said, source.columns)
    if isinstance(sides, str):
        return sides
    order, origin, licence = (_told(row.get(source.columns.get(n, n))) for n in FIELDS[2:])
    if (order or said) != langs:
        sides = sides[::-1]
        if sorted((order or said).split("-")) != sorted(langs.split("-")):
            return f"other_languages {order}"
    kept = _told(row.get("kept")).lower() != "false"
    return {
        "pair_id": pair_id(langs, [text_key(sides[0])], [text_key(sides[1])]),
        "src_text": sides[0],
        "tgt_text": sides[1],
        "langs": langs,
        **{name: _number(row[name]) for name in SCORES if name in row},
        "origin": origin or source.origin,
        "licence": licence or source.licence,
        "encoder": _told(row.get("encoder")) or None,
        "method": "import",
        "kept": kept,
        "reason": None if kept else _told(row.get("reason")) or "not_kept",
    }


def _texts(
    row: Mapping[str, object], langs: str, columns: Mapping[str, str]
) -> tuple[str, str] | str:
    """Find the texts of both sides in a row, or say why not."""
    found = []
    for side in (0, 1):
        names = _names(side, langs, columns)
        text = next((row[name] for name in names if row.get(name) is not None), None)
        if text is None:
            return f"other_languages {_told(' '.join(row))}"
        found.append(str(text))
    if not all(map(str.strip, found)):
        return "empty"
    if any(map(SURROGATE.search, found)):
        return "bad_encoding no UTF-8"
    return found[0], found[1]


def _told(value: object) -> str:
    """Give what a stranger's file tells beside the texts: on one line, and short."""
    if value is None:
        return ""
    return " ".join(str(value)[:200].encode("utf-8", "replace").decode().split())


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _gather(
    kept_out: Sequence[str], good: list[dict[str, Any]], rejects: list[dict[str, str]]
) -> Made:
    """Make a part of pairs and rejects; what leaks a reserved text is not kept."""
    pairs = SENTENCE_PAIRS.frame(good)
    if kept_out:
        leaks = pl.col("kept") & reserved.mark(pairs, ["src_text", "tgt_text"], kept_out)
        reason = pl.when(leaks).then(pl.lit(reserved.REASON)).otherwise("reason")
        pairs = pairs.with_columns(kept=pl.col("kept") & ~leaks, reason=reason)
    n_rows = len(good) + len(rejects)
    counts = Counter({"rows": n_rows, "pairs": len(good), "kept": int(pairs["kept"].sum())})
    counts.update(f"rejects.{row['reason']}" for row in rejects)
    named = [{**row, "stage": IMPORT.name} for row in rejects]
    return Made({"sentence_pairs": pairs, "rejects": REJECTS.frame(named)}, counts)
