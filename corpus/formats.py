"""Articles, sentences and pairs for other programs: Parquet, JSONL, TSV, Moses, TMX.

Parquet and JSONL keep every character. Moses and TMX keep the texts of every pair that
they can hold, and the others are listed in a file beside them with the reason. TSV has
one row a line and no quoting: there a tab, line break or control character becomes a
space. Rows are streamed from the workspace's parts: an export needs little memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from corpus import dedup, segment, stages, tmx
from corpus.errors import EmptyError, InputError, choices
from corpus.pairs import language_pairs, scan_pairs
from corpus.tables import ARTICLES, SENTENCE_PAIRS, Table, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from corpus.stages import Stage
    from corpus.workspace import Workspace

KINDS = ("articles", "sentences", "pairs")
FORMATS = ("parquet", "jsonl", "tsv", "moses", "tmx")
TEXTS = ("src_text", "tgt_text")
CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+"


def export(
    workspace: Workspace,
    what: str,
    path: Path,
    form: str | None = None,
    langs: Sequence[str] = (),
) -> dict[Path, int]:
    """Write what is kept of a workspace to a file.

    Args:
        workspace: what to export from.
        what: articles, sentences or pairs.
        path: the file; for Moses a name to which ``.lb-en.lb`` and ``.lb-en.en`` are added.
        form: parquet, jsonl, tsv, or moses or tmx (pairs only); by the file's ending if not given.
        langs: languages, or for pairs language pairs such as lb-en; all by default.

    Returns:
        The files and their numbers of rows; with ``.rejects.tsv``, what Moses or TMX cannot hold.

    Raises:
        InputError: an unknown kind or format.
        EmptyError: there is nothing to export.
        StorageError: the disk is full.
    """
    form = form or path.suffix.removeprefix(".")
    for got, allowed in ((what, KINDS), (form, FORMATS)):
        if got not in allowed:
            raise InputError(f"cannot export {choices(got, allowed)}")
    if what != "pairs" and form in REASONS:
        raise InputError(f"{form} holds sentence pairs, not {what}; take jsonl or tsv")
    rows = _rows(workspace, what, langs)
    if not _count(rows):
        raise EmptyError(f"there are no {what} to export; see corpus report for what was dropped")
    if form not in REASONS:
        return _save(rows, path, WRITERS[form])
    judged = rows.with_columns(reason=REASONS[form]())
    held, rejects = judged.filter(pl.col("reason").is_null()), judged.drop_nulls("reason")
    written = (_moses if form == "moses" else _tmx)(held, path)
    beside = path.with_name(f"{path.name}.rejects.tsv")
    beside.unlink(missing_ok=True)
    if _count(rejects):
        written |= _save(rejects.select("pair_id", "langs", "reason", *TEXTS), beside, _write_tsv)
    return written


def _rows(workspace: Workspace, what: str, langs: Sequence[str]) -> pl.LazyFrame:
    """Scan the kept rows in the order of the parts."""
    if what == "pairs":
        chosen = [pair for pair in language_pairs(workspace) if not langs or pair in langs]
        kept = [scan_pairs(workspace, pair).filter("kept") for pair in chosen]
        return pl.concat([SENTENCE_PAIRS.empty().lazy(), *kept])
    if what == "sentences":
        rows = _scan(segment.STAGE, workspace.sentences)
    else:
        rows = _articles(workspace)
    return rows.filter(pl.col("lang").is_in(list(langs))) if langs else rows


def _articles(workspace: Workspace) -> pl.LazyFrame:
    parts = dedup.load(workspace).partition_by("part", as_dict=True)
    kept = [
        pl.scan_parquet(dedup.part_path(workspace, str(part)))
        .join(rows.lazy().select("article_id", "version"), ["article_id", "version"], "semi")
        .unique(["article_id", "version"], keep="first", maintain_order=True)
        for (part,), rows in sorted(parts.items())
    ]
    return pl.concat([ARTICLES.empty().lazy(), *kept])


def _scan(stage: Stage, folder: Path) -> pl.LazyFrame:
    table: Table = stage.outputs[0]
    paths = [stage.path(path.parent, path.stem, table) for path, _ in stages.manifests(folder)]
    return pl.concat([table.empty().lazy(), *(pl.scan_parquet(p) for p in paths)])


def _plain(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Give dates, keys and lists as text."""
    schema = rows.collect_schema()
    of_type = {
        pl.Binary: lambda c: pl.col(c).bin.encode("hex"),
        pl.List: lambda c: pl.col(c).list.join(" "),
        pl.Datetime: lambda c: pl.col(c).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"),
    }
    kinds = {name: kind.base_type() for name, kind in schema.items()}
    return rows.with_columns(of_type[k](name) for name, k in kinds.items() if k in of_type)


def _one_line(*columns: str) -> pl.Expr:
    """Give texts without what ends a line or a cell."""
    return pl.col(*columns).str.replace_all(CONTROL, " ").str.strip_chars(" ")


def _write_tsv(rows: pl.LazyFrame, path: Path) -> None:
    plain = _plain(rows)
    texts = [name for name, kind in plain.collect_schema().items() if kind == pl.String]
    lines = plain.with_columns(_one_line(*texts))
    lines.sink_csv(path, separator="\t", quote_style="never")


WRITERS: dict[str, Callable[[pl.LazyFrame, Path], None]] = {
    "parquet": lambda rows, path: rows.sink_parquet(path, compression="zstd"),
    "jsonl": lambda rows, path: _plain(rows).sink_ndjson(path),
    "tsv": _write_tsv,
}


def _write_lines(rows: pl.LazyFrame, path: Path) -> None:
    rows.sink_csv(path, include_header=False, quote_style="never")


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _save(
    rows: pl.LazyFrame, path: Path, write: Callable[[pl.LazyFrame, Path], None]
) -> dict[Path, int]:
    write_whole(path, partial(write, rows))
    return {path: _count(rows)}


def _moses(rows: pl.LazyFrame, path: Path) -> dict[Path, int]:
    """Write two files a language pair."""
    written: dict[Path, int] = {}
    for pair in sorted(rows.select(pl.col("langs").unique()).collect()["langs"]):
        for column, lang in zip(TEXTS, pair.split("-"), strict=True):
            file = path.with_name(f"{path.name}.{pair}.{lang}")
            written |= _save(rows.filter(langs=pair).select(column), file, _write_lines)
    return written


def _tmx(rows: pl.LazyFrame, path: Path) -> dict[Path, int]:
    write_whole(path, partial(_write_lines, tmx.lines(rows)))
    return {path: _count(rows)}


def _not_in_lines() -> pl.Expr:
    """Say why a pair cannot be two lines, null where it can."""
    text = pl.col(TEXTS)
    tests = {
        "empty": text.str.strip_chars() == "",
        "line_break": text.str.contains(r"[\n\r]"),
        "byte_order_mark": text.str.starts_with("\ufeff"),
    }
    return pl.coalesce(
        pl.when(pl.any_horizontal(test)).then(pl.lit(why)) for why, test in tests.items()
    )


def _not_in_xml() -> pl.Expr:
    return pl.when(tmx.unit().str.contains(tmx.NOT_IN_XML)).then(pl.lit("not_in_xml"))


REASONS: dict[str, Callable[[], pl.Expr]] = {"moses": _not_in_lines, "tmx": _not_in_xml}
