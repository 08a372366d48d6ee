"""Is it any good: what encoders and whole corpora are measured by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.results import Record

__all__ = ["run"]


def run(
    model: str, tsv: str | Path, columns: Sequence[str] = (), split: str = "all"
) -> list[Record]:
    """Measure an encoder by bitext mining on a TSV file, outside any workspace.

    Args:
        model: an encoder, such as ``embedded``, a path or a Hub id.
        tsv: two columns of translations, or a header of languages.
        columns: the two languages to take from a header, such as ``("lb", "en")``.
        split: ``all``, or the ``dev`` or ``test`` documents of a file with a column doc.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from benchmarks import sets
    from benchmarks.measure import record
    from benchmarks.models import load_model

    data = sets.load(sets.of_file(Path(tsv), columns), Path(tsv).parent)
    with TemporaryDirectory() as folder:
        return [record(data, load_model(model, None, Path(folder)), split)]
