"""Bitext mining: of all lines of the other side, is a line's translation the first?

Measured both ways, by cosine and by ratio margin over k = 4 neighbours, and by both
again with the lexical score mixed in where the encoder has one. `xsim` is the error
of that retrieval in percent, as in "xsim" (Heffernan et al. 2022, LASER); F1 is
weighted over lines, as in MTEB's bitext mining.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from align import margin
from align.neighbours import Embedded, Neighbours, nearest
from benchmarks.metrics import estimate, mean
from benchmarks.results import Record, Score, scored
from corpus.errors import EmptyError, InputError, choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from align.encoders import Encoder
    from benchmarks.models import Once
    from benchmarks.sets import Data

    Floats = NDArray[np.float32]

MAIN = "accuracy"
COMPARED = "margin"  # the scoring by which encoders are compared
SPLITS = ("all", "dev", "test")
UNNAMED = ("src", "tgt")  # where nothing names the languages
MAX_LINES = 1_000_000  # the work grows with the square of it


@dataclass(frozen=True, slots=True)
class Bitext:
    """Lines that translate each other, in order.

    Attributes:
        docs: each line's document; empty where not known.
        parity: each document's number in order of appearance in its file, modulo 2.
    """

    name: str
    languages: tuple[str, str]
    src: tuple[str, ...]
    tgt: tuple[str, ...]
    docs: tuple[str, ...] = ()
    parity: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest all that decides the scores."""
        rows = zip(self.src, self.tgt, self.docs or self.src, strict=True)
        text = "\n".join("\t".join(row) for row in rows)
        return hashlib.sha256(text.encode()).hexdigest()

    def queries(self, split: str) -> NDArray[np.intp]:
        """Number the lines of a split: even documents are dev, odd ones test.

        Raises:
            InputError: a split is asked of a file without documents.
        """
        if split not in SPLITS:
            raise InputError(f"no split {choices(split, SPLITS)}")
        if split == "all":
            return np.arange(len(self.src))
        if not self.docs:
            raise InputError(f"{self.name} has no column doc to split by; leave --split out")
        return np.flatnonzero([self.parity[doc] == (split == "test") for doc in self.docs])


def document_parity(docs: Sequence[str]) -> dict[str, int]:
    """Number documents in order of appearance, modulo 2."""
    return {doc: n % 2 for n, doc in enumerate(dict.fromkeys(docs))}


def read_rows(path: Path) -> list[list[str]]:
    """Read a TSV without quoting; every row has as many cells as the first.

    Raises:
        InputError: no such file, not UTF-8, too long, or a row of another width.
        EmptyError: it has no rows.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as UTF-8 text: {error}") from error
    rows = [line.rstrip("\r").split("\t") for line in lines if line.strip()]
    if not rows:
        raise EmptyError(f"{path} has no rows; give lines of two texts with a tab between")
    if len(rows) > MAX_LINES:
        raise InputError(f"{path} has {len(rows)} rows, at most {MAX_LINES} can be scored")
    for n, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path}, row {n}: {len(row)} columns where the first row has {len(rows[0])}"
            )
    return rows


def load(path: Path, columns: Sequence[str] = ()) -> Bitext:
    """Read translations from a TSV; rows in which a side is empty are left out.

    Args:
        path: two columns, named after its languages (``lb-en.tsv``), or with a header.
        columns: the two columns of a header to take.

    Raises:
        InputError: the file or the columns are not what they should be.
        EmptyError: no row has both sides.
    """
    rows = read_rows(path)
    if columns:
        rows, languages, docs = _by_header(path, rows, columns)
    elif len(rows[0]) == 2:
        languages, docs = languages_of(path), []
    else:
        raise InputError(
            f"{path} has {len(rows[0])} columns ({', '.join(rows[0])[:80]}); "
            "name two of its header, such as --columns lb,en"
        )
    both = [n for n, row in enumerate(rows) if row[0].strip() and row[1].strip()]
    if not both:
        raise EmptyError(f"{path} has no row with both sides")
    src, tgt = zip(*((rows[n][0], rows[n][1]) for n in both), strict=True)
    name = f"{path.stem} {'-'.join(languages)}" if columns else path.stem
    kept_docs = tuple(docs[n] for n in both) if docs else ()
    return Bitext(name, languages, src, tgt, kept_docs, document_parity(docs))


def run(
    encoder: Encoder,
    data: Bitext,
    splits: Sequence[str] = ("all",),
) -> list[Record]:
    """Score an encoder: queries are the lines of a split, candidates always all lines.

    Args:
        encoder: the encoder.
        data: the lines.
        splits: what to score, of `SPLITS`; one record each.
    """
    queries = {split: data.queries(split) for split in splits}
    if empty := [split for split, rows in queries.items() if not len(rows)]:
        raise EmptyError(f"{data.name} has no documents in {empty[0]}; leave --split out")
    found = retrieve(encoder, data, encoder.encode(data.src), encoder.encode(data.tgt))
    return [
        Record(
            task="bitext",
            data=data.name,
            split=split,
            languages=list(data.languages),
            model=encoder.name,
            revision=encoder.revision,
            digest=data.digest,
            n=len(rows),
            scores=[_score(data, rows, *key, hits) for key, hits in found.items()],
        )
        for split, rows in queries.items()
    ]


def retrieve(
    encoder: Encoder, data: Bitext, src: Floats, tgt: Floats
) -> dict[tuple[str, str], NDArray[np.intp]]:
    """Find the first candidate of every line, each way and by each score.

    Returns:
        By direction (``lb→en``) and scoring: the position found for each line [n].
    """
    there, back = "→".join(data.languages), "→".join(reversed(data.languages))
    ways = {"": (Embedded(src), Embedded(tgt), 0.0)}
    if encoder.lexical_weight:
        lexical = encoder.lexical.vectors(data.src), encoder.lexical.vectors(data.tgt)
        ways["+lexical"] = (
            Embedded(src, lexical[0]),
            Embedded(tgt, lexical[1]),
            encoder.lexical_weight,
        )
    found = {}
    for plus, (a, b, weight) in ways.items():
        forward, backward = nearest(a, b, margin.K, weight)
        for way, own, other in ((there, forward, backward), (back, backward, forward)):
            found[way, "cosine" + plus] = own.at[:, 0]
            found[way, "margin" + plus] = best_by_margin(own, other)
    return found


def best_by_margin(own: Neighbours, other: Neighbours) -> NDArray[np.intp]:
    """Choose of each row's neighbours the one of the highest ratio margin [n]."""
    margins = margin.ratio(own.score, own.mean[:, None], other.mean[own.at])
    return np.take_along_axis(own.at, margins.argmax(axis=1)[:, None], axis=1)[:, 0]


def f1_weighted(gold: NDArray[np.intp], predicted: NDArray[np.intp]) -> float:
    """Average the F1 of every gold line, as scikit-learn's weighted F1.

    A gold line occurs once, so its F1 is 2 / (1 + times it was predicted) or 0.
    """
    times = np.bincount(predicted, minlength=int(gold.max()) + 1)
    return float(np.mean(np.where(gold == predicted, 2 / (1 + times[gold]), 0.0)))


def _score(
    data: Bitext, rows: NDArray[np.intp], way: str, scoring: str, found: NDArray[np.intp]
) -> Score:
    """Score a retrieval, by cluster: its documents where lines have one, else lines."""
    right = found[rows] == rows
    clusters = [data.docs[n] for n in rows.tolist()] if data.docs else list(map(str, rows))
    values = {
        "f1": f1_weighted(rows, found[rows]),
        "xsim": 100 * (1 - float(right.mean())),
    }
    accuracy = estimate(mean(right), clusters)
    return scored(f"{way} {scoring}", MAIN, accuracy, values, paired=scoring == COMPARED)


def run_set(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score every language pair of a set, as `run` does."""
    return [
        score
        for each in bitexts(data)
        for record in run(encoder, each, [split])
        for score in record.scores
    ]


def bitexts(data: Data) -> list[Bitext]:
    """Make bitexts of a set: a file each pair, a column each language, or rows with lang.

    Raises:
        EmptyError: no row has both sides, or no pair both languages.
    """
    rows = data.rows
    if "pair" in rows.columns:
        parts = sorted(rows.partition_by("pair", as_dict=True).items())
        return [_of_rows(data.spec.name, str(pair), part) for (pair,), part in parts]
    if "lang" in rows.columns:
        rows = rows.pivot("lang", index=["cluster", "split"], values="text")
    found = []
    for pair in data.spec.pairs:
        src, tgt = pair.split("-")
        if src in rows.columns and tgt in rows.columns:
            found.append(_of_rows(data.spec.name, pair, rows.rename({src: "text", tgt: "text2"})))
    if not found:
        raise EmptyError(f"{data.spec.name} has none of the pairs {', '.join(data.spec.pairs)}")
    return found


def _of_rows(name: str, pair: str, rows: pl.DataFrame) -> Bitext:
    src, tgt = pair.split("-")
    if "cluster" not in rows.columns:
        rows = rows.with_row_index("cluster")
    cells = rows.select("text", "text2", "cluster", "split").fill_null("").rows()
    both = [row for row in cells if row[0].strip() and row[1].strip()]
    if not both:
        raise EmptyError(f"{name} has no row with {src} and {tgt}")
    texts, others, clusters, splits = zip(*both, strict=True)
    docs = tuple(map(str, clusters))
    parity = dict(zip(docs, (split in ("test", "all") for split in splits), strict=True))
    return Bitext(f"{name} {pair}", (src, tgt), texts, others, docs, parity)


def _by_header(
    path: Path, rows: list[list[str]], columns: Sequence[str]
) -> tuple[list[list[str]], tuple[str, str], list[str]]:
    header, *body = rows
    for column in columns:
        if column not in header:
            raise InputError(f"{path} has no column {choices(column, header)}")
    if len(columns) != 2:
        raise InputError(f"--columns takes two names such as lb,en, not {','.join(columns)}")
    at = [header.index(column) for column in columns]
    docs = [row[header.index("doc")] for row in body] if "doc" in header else []
    return [[row[n] for n in at] for row in body], (columns[0], columns[1]), docs


def languages_of(path: Path) -> tuple[str, str]:
    """Read the languages from a file's name, such as lb-en.tsv."""
    match = re.fullmatch(r"([a-z]{2,3})-([a-z]{2,3})", path.stem)
    return (match[1], match[2]) if match else UNNAMED
