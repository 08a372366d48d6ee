"""Articles, sentences and pairs for other programs: Parquet, JSONL, TSV, Moses.

Parquet and JSONL keep every character. TSV and Moses have one row a line and no
quoting: there a tab, line break or control character becomes a space. Rows are
streamed from the workspace's parts, so that an export needs little memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from corpus import dedup, segment, stages
from corpus.errors import EmptyError, InputError, choices
from corpus.pairs import MATCH_SENTENCES
from corpus.tables import ARTICLES, SENTENCE_PAIRS, Table, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from corpus.stages import Stage
    from corpus.workspace import Workspace

KINDS = ("articles", "sentences", "pairs")
FORMATS = ("parquet", "jsonl", "tsv", "moses")
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
        form: parquet, jsonl, tsv or moses (pairs only); by the file's ending if not given.
        langs: languages, or for pairs language pairs such as lb-en; all by default.

    Returns:
        The files and their numbers of rows.

    Raises:
        InputError: an unknown kind or format.
        EmptyError: there is nothing to export.
        StorageError: the disk is full.
    """
    form = form or path.suffix.removeprefix(".")
    for got, allowed in ((what, KINDS), (form, FORMATS)):
        if got not in allowed:
            raise InputError(f"cannot export {choices(got, allowed)}")
    if form == "moses":
        return _moses(workspace, what, path, langs)
    rows = _rows(workspace, what, langs)
    n_rows = int(rows.select(pl.len()).collect().item())
    if not n_rows:
        raise EmptyError(f"there are no {what} to export; see corpus report for what was dropped")
    write_whole(path, lambda temporary: WRITERS[form](rows, temporary))
    return {path: n_rows}


def _rows(workspace: Workspace, what: str, langs: Sequence[str]) -> pl.LazyFrame:
    """Scan the kept rows in the order of the parts."""
    if what == "pairs":
        folders = sorted(workspace.pairs.glob(f"*/{MATCH_SENTENCES.name}"))
        kept = [_scan(MATCH_SENTENCES, folder).filter("kept") for folder in folders]
        rows = pl.concat([SENTENCE_PAIRS.empty().lazy(), *kept])
        return rows.filter(pl.col("langs").is_in(list(langs))) if langs else rows
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


def _moses(workspace: Workspace, what: str, path: Path, langs: Sequence[str]) -> dict[Path, int]:
    """Write two files a language pair; a pair with an empty side is left out."""
    if what != "pairs":
        raise InputError(f"Moses holds sentence pairs, not {what}; take jsonl or tsv")
    rows = _rows(workspace, what, langs)
    present = sorted(rows.select(pl.col("langs").unique()).collect()["langs"])
    if not present:
        raise EmptyError("there are no pairs to export; see corpus report for what was dropped")
    written = {}
    for pair in present:
        lines = rows.filter(langs=pair).select(_one_line("src_text", "tgt_text"))
        full = lines.filter(pl.all_horizontal(pl.all() != ""))
        for column, lang in zip(("src_text", "tgt_text"), pair.split("-", 1), strict=True):
            side = full.select(column)
            file = path.with_name(f"{path.name}.{pair}.{lang}")
            write_whole(file, partial(_write_lines, side))
            written[file] = int(side.select(pl.len()).collect().item())
    return written
