"""What ``benchmarks run`` does: encoders, files of pairs, records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from align.encoders import load_encoder
from benchmarks import results
from benchmarks.tasks import bitext, monotone
from corpus.errors import EmptyError, InputError
from corpus.tables import text_key
from corpus.vectors import encode_once, open_store
from corpus.workspace import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from align.encoders import Encoder
    from benchmarks.results import Record
    from benchmarks.tasks.bitext import Floats
    from corpus.console import Console
    from corpus.workspace import Workspace


def measure(
    console: Console,
    models: Sequence[str],
    files: Sequence[Path],
    columns: Sequence[str],
    splits: Sequence[str],
) -> list[Record]:
    """Score every model on every file by bitext mining, and keep the records.

    Args:
        console: shows progress; records and vectors go to its workspace, if there is one.
        models: encoder specs.
        files: TSV files; the workspace's held-out pairs where none is given.
        columns: pairs of columns such as ``lb,en`` to take from the files' headers.
        splits: which documents to score.

    Raises:
        EmptyError: no file is given and the workspace has no held-out pairs.
    """
    workspace = console.workspace if not files or (console.root / FILE).exists() else None
    paths = list(files) or held_out(console.workspace)
    wanted = [tuple(pair.split(",")) for pair in columns] or [()]
    tasks = [bitext.load(path, pair) for path in paths for pair in wanted]
    encoders = [load_encoder(model) for model in models]
    for encoder in encoders:
        _note_languages(console, encoder, {lang for data in tasks for lang in data.languages})
    found = []
    with console.progress("scoring") as progress:
        for n, (encoder, data) in enumerate(((e, d) for e in encoders for d in tasks), 1):
            found += bitext.run(encoder, data, splits, _embedding(workspace, encoder))
            progress(n, len(encoders) * len(tasks))
    save(workspace, found)
    return found


def measure_beads(console: Console, folder: Path, langs: str, spec: str) -> list[Record]:
    """Score monotone alignment on a folder of documents with gold beads, and keep the records.

    Raises:
        InputError: ``langs`` is no pair, or the folder's files are not what they should be.
    """
    pair = langs.split("-")
    if len(pair) != 2 or not all(pair):
        raise InputError(f"--langs '{langs}' is no pair of two languages such as de-fr")
    documents, encoder = monotone.load(folder, (pair[0], pair[1])), load_encoder(spec)
    _note_languages(console, encoder, set(pair))
    records = monotone.run(encoder, documents, (pair[0], pair[1]))
    save(console.workspace if (console.root / FILE).exists() else None, records)
    return records


def show_beads(console: Console, records: Sequence[Record]) -> None:
    """Show records of monotone alignment as one table."""
    rows = [
        [record.split, record.n, *(v for score in record.scores for v in score.values.values())]
        for record in records
    ]
    columns = ["documents", "beads", "strict P", "R", "F1", "lax P", "R", "F1"]
    console.table(f"Monotone alignment, {records[0].data}, {records[0].model}", columns, rows)
    console.emit([record.as_json() for record in records])


def held_out(workspace: Workspace) -> list[Path]:
    """List the held-out pairs of a workspace.

    Raises:
        EmptyError: there are none.
    """
    files = sorted(workspace.held_out("any").parent.glob("*.tsv"))
    found = [path for path in files if path.stat().st_size]  # few pairs leave none to hold out
    if not found:
        raise EmptyError(
            f"no held-out pairs in {workspace.root}: distill run sets them apart; "
            "or name a file of pairs with --tsv FILE"
        )
    return found


def save(workspace: Workspace | None, records: Iterable[Record]) -> None:
    """Keep records in a workspace, if there is one."""
    for record in records if workspace else ():
        results.save(workspace.results, record)  # type: ignore[union-attr]


def show(console: Console, records: Sequence[Record]) -> None:
    """Show records of bitext mining: a table for each data set and split."""
    by_data: dict[str, list[list[object]]] = {}
    for record in records:
        title = f"{record.data}, {record.split} ({record.n} queries)"
        for score in record.scores:
            value = score.values
            spread = "" if value["low"] is None else f"{value['low']:.3f} – {value['high']:.3f}"
            row = [record.model.rpartition("/")[2], score.name, value["accuracy"], spread]
            by_data.setdefault(title, []).append([*row, value["f1"], value["xsim"]])
    for title, rows in by_data.items():
        columns = ["model", "retrieval", "accuracy", "95 %", "F1", "xsim %"]
        console.table(title, columns, rows)
    console.emit([record.as_json() for record in records])


def _note_languages(console: Console, encoder: Encoder, languages: set[str]) -> None:
    """Say which languages an encoder was not made for: a low score is no surprise there."""
    unknown = languages - (encoder.languages or languages) - set(bitext.UNNAMED)
    if unknown:
        console.say(f"note: {encoder.name} was not made for {', '.join(sorted(unknown))}")


def _embedding(
    workspace: Workspace | None, encoder: Encoder
) -> Callable[[Sequence[str]], Floats] | None:
    """Take vectors from the workspace's store, where a text is encoded once, ever."""
    if workspace is None:
        return None
    store = open_store(workspace, encoder)
    return lambda texts: encode_once(store, encoder, texts, [text_key(t) for t in texts])[0]


def listing(console: Console) -> list[list[object]]:
    """List the tasks, and the files that each would score in this workspace."""
    files: list[str] = []
    if (console.root / FILE).exists():
        folder = console.workspace.held_out("any").parent
        files = sorted(path.stem for path in folder.glob("*.tsv"))
    return [
        [
            "bitext",
            "benchmarks run MODEL",
            "accuracy by margin, 1 / candidates",
            ", ".join(files) or "none; give --tsv FILE",
        ],
        [
            "newsroom",
            "benchmarks newsroom",
            "F1 of articles and of sentences by lines, 0",
            "the bundled sample; or any TSV of aligned documents",
        ],
        [
            "beads",
            "benchmarks beads FOLDER",
            "strict F1 of monotone alignment, 0",
            "none; a folder of documents with gold beads",
        ],
    ]
