"""What ``benchmarks run`` does: encoders, sets and files of pairs, records."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import board, mteb, results, sets
from benchmarks.kinds import KINDS
from benchmarks.models import load_model
from benchmarks.results import Record
from benchmarks.tasks import efficiency
from corpus.errors import BitextileError, EmptyError, InputError
from corpus.workspace import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from align.encoders import Encoder
    from benchmarks.models import Once
    from benchmarks.results import Score
    from corpus.console import Console
    from corpus.workspace import Workspace


SPREAD = ("low", "high")


@dataclass(frozen=True, slots=True)
class Request:
    """What to score.

    Attributes:
        models: ``SPEC`` or ``NAME=SPEC`` of each.
        files: TSV files of pairs.
        columns: pairs of columns such as ``lb,en`` to take from the files' headers.
        splits: what to score; by default the test part of sets, all of files.
        tasks: names of sets, of finished ones too; paths of TOML files, or ``mteb:NAME``.
        data: folder with the files of sets; without ``tasks`` all that it has are scored.
    """

    models: Sequence[str]
    files: Sequence[Path] = ()
    columns: Sequence[str] = ()
    splits: Sequence[str] = ()
    tasks: Sequence[str] = ()
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What encoders are scored on, and how; languages are what they should know."""

    name: str
    languages: Collection[str]
    run: Callable[[Once], list[Record]] | None = None  # else all encoders are timed in turn

    def steps(self, encoders: Sequence[Once]) -> list[tuple[str, Callable[[], list[Record]]]]:
        """Name what is to be done with each encoder."""
        if self.run is None:
            return [(self.name, partial(_timed, encoders))]
        return [(f"{self.name}, {each.name}", partial(self.run, each)) for each in encoders]


def measure(console: Console, request: Request) -> tuple[list[Record], list[str]]:
    """Score every model on everything that is asked for, and keep the records.

    One that fails does not stop the others.

    Args:
        console: shows progress; records and vectors go to its workspace, if there is one.
        request: what to score; the workspace's held-out pairs where it names nothing.

    Returns:
        The records, and a line for all that could not be scored.

    Raises:
        EmptyError: nothing is named and the workspace has no held-out pairs.
        InputError: there is no such encoder, two have one name, or no folder of data.
    """
    named = request.files or request.tasks or request.data
    workspace = console.workspace if not named or (console.root / FILE).exists() else None
    paths = list(request.files) if named else held_out(console.workspace)
    if workspace:
        request = replace(request, tasks=[_own(workspace, name) for name in request.tasks])
    failed: list[str] = []
    found: list[Record] = []
    with TemporaryDirectory() as folder, console.progress("scoring") as progress:
        encoders = [load_model(model, workspace, Path(folder)) for model in request.models]
        _check_names([each.name for each in encoders])
        jobs = []
        for name, load in _jobs(request, paths):
            try:
                jobs.append(load())
            except BitextileError as error:
                failed.append(f"{name}: {error}")
        for encoder in encoders:
            _note_languages(console, encoder, {lang for job in jobs for lang in job.languages})
        steps = [step for job in jobs for step in job.steps(encoders)]
        for n, (name, run) in enumerate(steps, 1):
            try:
                records = run()
            except BitextileError as error:
                failed.append(f"{name}: {error}")
                continue
            save(workspace, records)
            found += records
            progress(n, len(steps))
    return found, failed


def _own(workspace: Workspace, name: str) -> str:
    """Give the path of a finished set's task, if the workspace has one of that name."""
    path = workspace.finished_set(name) / "task.toml"
    return str(path) if path.exists() else name


def _check_names(names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two models are called {twice}; say how to call them: NAME={twice}")


def _jobs(request: Request, paths: Iterable[Path]) -> Iterator[tuple[str, Callable[[], Job]]]:
    """Give a job for each file of pairs, set and task of MTEB, before any is read."""
    for path in paths:
        for pair in [tuple(each.split(",")) for each in request.columns] or [()]:
            yield str(path), partial(_file_job, path, pair, request.splits or ["all"])
    for name in request.tasks or covered(request.data):
        yield name, partial(_set_job, name, request.data, request.splits or ["test"])


def covered(data: Path | None) -> list[str]:
    """Name the sets whose files a folder has; what needs no files is among them.

    Raises:
        InputError: there is no such folder.
    """
    if data is None:
        return []
    if not data.is_dir():
        raise InputError(f"no folder {data}; --data names one that has the files of sets")
    known = sets.catalogue().values()
    return [spec.name for spec in known if spec.is_in(data) and (spec.files or not spec.hub)]


def _file_job(path: Path, columns: Sequence[str], splits: Sequence[str]) -> Job:
    return _job(sets.load(sets.of_file(path, columns), path.parent), splits)


def _set_job(name: str, root: Path | None, splits: Sequence[str]) -> Job:
    if name.startswith(mteb.PREFIX):
        return Job(name, (), partial(mteb.run, name))
    spec, folder = sets.find(name, root)
    if spec.kind == efficiency.NAME:
        return Job(name, ())
    return _job(sets.load(spec, folder), splits)


def _job(data: sets.Data, splits: Sequence[str]) -> Job:
    spec = data.spec
    parts = ["all"] if KINDS[spec.kind].whole else splits
    return Job(spec.name, spec.languages, lambda each: [record(data, each, p) for p in parts])


def record(data: sets.Data, encoder: Once, split: str) -> Record:
    """Score an encoder on a split of a set."""
    spec, kind = data.spec, KINDS[data.spec.kind]
    return Record(
        task=spec.kind,
        data=spec.name,
        split=split,
        languages=spec.languages,
        model=encoder.name,
        revision=encoder.revision,
        digest=data.digest,
        n=data.part(split).height,
        scores=kind.run(data, encoder, split),
        main=kind.main,
    )


def _timed(encoders: Sequence[Once]) -> list[Record]:
    """Time all encoders in turn."""
    scores = efficiency.run(encoders)
    return [
        Record(
            task=efficiency.NAME,
            data=efficiency.NAME,
            split="all",
            languages=["en"],
            model=each.name,
            revision=each.revision,
            digest="",
            n=len(efficiency.BATCHES),
            scores=scores[each.name],
            main=efficiency.MAIN,
        )
        for each in encoders
    ]


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


def save(workspace: Workspace | None, records: Sequence[Record]) -> None:
    """Keep records in a workspace, if there is one, in our layout and in MTEB's."""
    if workspace:
        for record in records:
            results.save(workspace.results, record)
        mteb.save(workspace.mteb_results, records)


def show(console: Console, records: Sequence[Record]) -> None:
    """Show the scores of one measurement, or of several how the encoders compare."""
    found = board.boards(records)
    if len(found) > 1:
        models = board.models_of(found)
        rows = [
            [
                each.name,
                each.main.replace("_", " "),
                *(str(each.overall.get(model, "–")) for model in models),
            ]
            for each in found
        ]
        console.table("Main scores [95 %]", ["task", "score", *models], rows)
        found_names = {(r.task, r.data) for r in records if board.comparable(r)}
        records_left = [r for r in records if (r.task, r.data) not in found_names]
    else:
        records_left = list(records)
    for record in records_left:
        names = [name for name in record.scores[0].values if name not in SPREAD]
        lines: list[list[object]] = [
            [s.name, *(s.values.get(name) for name in names), _spread(s)] for s in record.scores
        ]
        title = f"{record.model.rpartition('/')[2]}: {record.data}, {record.split} ({record.n})"
        words = [name.replace("_", " ") for name in names]
        console.table(title, ["score", *words, "95 %"], lines)
    console.emit([record.as_json() for record in records])


def _spread(score: Score) -> str:
    low, high = (score.values.get(name) for name in SPREAD)
    return "" if low is None or high is None or math.isnan(low) else f"{low:.3f} – {high:.3f}"


def check(failed: Sequence[str]) -> None:
    """Fail if something could not be scored.

    Raises:
        InputError: has a line for each.
    """
    if failed:
        raise InputError("\n".join(f"not scored: {line}" for line in failed))


def _note_languages(console: Console, encoder: Encoder, languages: set[str]) -> None:
    """Say which languages an encoder was not made for: a low score is no surprise there."""
    unknown = languages - (encoder.languages or languages) - set(sets.UNNAMED)
    if unknown:
        console.say(f"note: {encoder.name} was not made for {', '.join(sorted(unknown))}")
