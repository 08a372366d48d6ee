"""Evaluation sets: what each is, in one TOML file, and how its rows are read.

A set comes from a folder (files by split, below ``--data`` or beside its TOML file) or
from the Hub by name and pinned revision, which gives the same columns.
"""

from __future__ import annotations

import glob
import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.rows import read, read_tsv
from corpus.errors import EmptyError, InputError, MissingExtraError, OfflineError, choices
from corpus.languages import check_language

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent / "catalogue"
SPLITS = ("all", "dev", "test")
NAMES = {"validation": "dev", "valid": "dev", "val": "dev"}  # of splits elsewhere → here
MAY_BE_EMPTY = "bitext"  # this kind leaves rows out in which a side is empty
UNNAMED = ("src", "tgt")  # where nothing names the languages of a file
Kind = Literal[
    "beads", "bitext", "classification", "detection", "efficiency", "spaces", "sts", "topics",
    "transfer", "triples",
]  # fmt: skip


class Set(BaseModel):
    """An evaluation set and the task on it.

    Attributes:
        name: names the task.
        kind: the task, see ``benchmarks/tasks``.
        summary: one line of what is asked.
        languages: that it has.
        size: of it, in words.
        items: independent items that a score comes from; a difference of two encoders
            that is smaller than `least_difference` means little.
        chance: the main score of an encoder that knows nothing.
        files: pattern of files by split (train, dev, test; all where there is none).
        header: whether the files begin with one; else columns are column_1, column_2.
        columns: our name → the file's, such as text, text2, label, lang, split, cluster;
            for bitext: languages.
        parity: even clusters in order of appearance are dev, odd ones test.
        incomplete: rows that are known to lack a cell, and are left out.
        pairs: language pairs of a bitext, such as lb-en.
        negatives: ``next`` if rows hold true pairs only: row n with row n + 1 is a false one.
        hub: ORG/NAME of a dataset.
        revision: its pinned commit.
        configs: language → the dataset's configuration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    kind: Kind
    summary: str
    licence: str
    citation: str
    languages: list[str]
    size: str
    items: Annotated[int, Field(ge=1)]
    chance: float | None = None
    files: dict[str, str] = {}
    header: bool = True
    columns: dict[str, str] = {}
    parity: bool = False
    incomplete: Annotated[int, Field(ge=0)] = 0
    pairs: list[str] = []
    negatives: Literal["", "next"] = ""
    hub: str = ""
    revision: Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")] = ""
    configs: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if self.hub and not self.revision:
            raise ValueError(f"{self.hub} needs the revision that it is read at")
        return self

    @property
    def least_difference(self) -> float:
        """Half the 95 % interval of an accuracy near ½: what two encoders must differ by.

        Of a paired difference it is the half width where the two agree as correlated at ½.
        """
        return float(1.96 * (0.25 / self.items) ** 0.5)

    def is_in(self, root: Path) -> bool:
        """Tell whether all its files are below a folder; without files it is everywhere."""
        return all(any(root.glob(pattern)) for pattern in self.files.values())


@dataclass(frozen=True, slots=True)
class Data:
    """A set and its rows, all text, under our names of columns."""

    spec: Set
    rows: pl.DataFrame
    root: Path

    @property
    def digest(self) -> str:
        """Digest all rows."""
        return hashlib.sha256(self.rows.write_csv().encode()).hexdigest()

    def part(self, split: str, *, trains: bool = False) -> pl.DataFrame:
        """Take the rows of a split; where nothing is trained, train rows are dev too.

        Raises:
            EmptyError: there are none.
        """
        names = {"dev": ["dev"] if trains else ["dev", "train"], "test": ["test", "all"]}
        names["train"] = ["train"]
        wanted = pl.lit(True) if split == "all" else pl.col("split").is_in(names[split])
        rows = self.rows.filter(wanted)
        if not rows.height:
            have = ", ".join(sorted(self.rows["split"].unique())) or "no rows at all"
            raise EmptyError(f"{self.spec.name} has no rows in {split}, but {have}; see --split")
        return rows


def catalogue() -> dict[str, Set]:
    """Give the sets that ship, by name."""
    return {path.stem: read_spec(path) for path in sorted(FOLDER.glob("*.toml"))}


def read_spec(path: Path) -> Set:
    """Read what a set is.

    Raises:
        InputError: the file is no TOML, or a key of it is wrong; names the key.
    """
    try:
        return Set.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"cannot read the task {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"task {path}: {where} {first['msg']}".replace(":  ", ": ")) from error


def find(name: str, root: Path | None) -> tuple[Set, Path | None]:
    """Find a set by name, or by the path of its TOML file, whose folder then holds it.

    Raises:
        InputError: there is none.
    """
    if name.endswith(".toml"):
        return read_spec(Path(name)), Path(name).parent
    known = catalogue()
    if name not in known:
        raise InputError(f"no task {choices(name, known)}, or the path of a .toml file")
    return known[name], root


def of_file(path: Path, columns: Sequence[str] = ()) -> Set:
    """Describe a TSV of translations as a set.

    Args:
        path: two columns, named after its languages (``lb-en.tsv``), or with a header; even
            documents of a column doc are dev, odd ones test.
        columns: the two columns of a header to take.

    Raises:
        InputError: the columns are not two, or the file cannot be read.
    """
    header = read_tsv(path)[0]
    if columns and len(columns) != 2:
        raise InputError(f"--columns takes two names such as lb,en, not {','.join(columns)}")
    if not columns and len(header) != 2:
        raise InputError(
            f"{path} has {len(header)} columns ({', '.join(header)[:80]}); "
            "name two of its header, such as --columns lb,en"
        )
    named = dict(zip(("text", "text2"), columns or ("column_1", "column_2"), strict=True))
    has_documents = bool(columns) and "doc" in header
    name = re.sub(r"[^a-z0-9._-]+", "-", "-".join([path.stem, *columns]).lower()).lstrip("._-")
    return Set(
        name=name or "pairs",
        kind="bitext",
        summary="",
        licence="",
        citation="",
        languages=list(columns or languages_of(path)),
        size="",
        items=1,
        files={"all": glob.escape(path.name)},
        header=bool(columns),
        columns=named | ({"cluster": "doc"} if has_documents else {}),
        parity=has_documents,
    )


def languages_of(path: Path) -> tuple[str, str]:
    """Read the languages from a file's name, such as lb-en.tsv."""
    match = re.fullmatch(r"([a-z]{2,3})-([a-z]{2,3})", path.stem)
    return (match[1], match[2]) if match else UNNAMED


def load(spec: Set, root: Path | None) -> Data:
    """Read a set's rows from a folder that has its files, else from the Hub.

    Raises:
        InputError: files or columns are missing, or a row lacks what it needs.
        MissingExtraError, OfflineError: it must come from the Hub and cannot.
    """
    if spec.files and root is not None and spec.is_in(root):
        rows = _from_files(spec, root)
    elif spec.hub:
        rows = _from_hub(spec)
    else:
        patterns = ", ".join(spec.files.values()) or "files, or a hub,"
        raise InputError(f"{spec.name} needs {patterns} in {root or 'a folder'}; name it by --data")
    if spec.parity:
        order = {c: n % 2 for n, c in enumerate(rows["cluster"].unique(maintain_order=True))}
        splits = {cluster: SPLITS[1 + odd] for cluster, odd in order.items()}
        rows = rows.with_columns(split=pl.col("cluster").replace_strict(splits))
    for lang in rows["lang"].unique() if "lang" in rows.columns else []:
        check_language(lang)
    return Data(spec, rows, root or Path())


def _from_files(spec: Set, root: Path) -> pl.DataFrame:
    frames = []
    for split, pattern in spec.files.items():
        for path in sorted(root.glob(pattern)):
            if spec.kind == "beads":
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                row = {"document": str(path.relative_to(root)), "gold": digest, "split": split}
                frames.append(pl.DataFrame(row))
                continue
            rows = read(path, has_header=spec.header)
            pair = languages_of(path)
            if spec.kind == "bitext" and not spec.columns and pair != UNNAMED and rows.width == 2:
                rows = rows.rename(dict(zip(rows.columns, ("text", "text2"), strict=True)))
                frames.append(rows.with_columns(split=pl.lit(split), pair=pl.lit("-".join(pair))))
            else:
                frames.append(_named(spec, rows, str(path), split))
    return pl.concat(frames)


def _from_hub(spec: Set) -> pl.DataFrame:
    """Read a set by ``datasets``, every configuration of it a language."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise MissingExtraError(f"the set {spec.hub}", "train") from error
    frames = []
    for lang, config in spec.configs.items() or [("", None)]:
        try:
            loaded = load_dataset(spec.hub, config, revision=spec.revision)
        except Exception as error:  # Hub, network and data errors share no narrower root
            raise OfflineError(
                f"the Hub did not give {spec.hub} {config or ''} at {spec.revision[:12]} "
                f"({type(error).__name__}); put its files in a folder and name it by --data"
            ) from error
        for split, part in loaded.items():
            rows = part.to_polars()
            rows = rows.with_columns(lang=pl.lit(lang)) if lang else rows
            frames.append(_named(spec, rows, f"{spec.hub} {config or ''}".strip(), split))
    return pl.concat(frames)


def _named(spec: Set, rows: pl.DataFrame, where: str, split: str) -> pl.DataFrame:
    """Take the columns that a set names, as text; every cell of them must be filled."""
    columns = dict(spec.columns)
    if spec.configs and "lang" in rows.columns:
        columns["lang"] = "lang"
    for theirs in columns.values():
        if theirs not in rows.columns:
            raise InputError(f"{where} has no column {choices(theirs, rows.columns)}")
    taken = rows.select(pl.col(b).cast(pl.String).alias(a) for a, b in columns.items())
    if "split" not in columns:
        taken = taken.with_columns(split=pl.lit(split))
    if spec.kind != MAY_BE_EMPTY:
        blank = pl.any_horizontal(pl.col(columns).fill_null("").str.strip_chars() == "")
        lacking = taken.with_row_index("row", offset=1).filter(blank)
        if lacking.height > spec.incomplete:
            first = lacking.row(0, named=True)
            name = next(ours for ours in columns if not (first[ours] or "").strip())
            raise InputError(
                f"{where}: row {first['row']} has no {columns[name]} ({lacking.height} such rows); "
                "fill it in, or leave the row out"
            )
        taken = taken.filter(~blank)
    return taken.with_columns(pl.col("split").replace(NAMES))
