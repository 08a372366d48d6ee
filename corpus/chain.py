"""From pages to sentences: each stage after its inputs, as make does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import TYPE_CHECKING

from corpus import __version__, dedup, extract, pairs, segment, sites, tables
from corpus.engine import Pool
from corpus.errors import EmptyError, LanguageError
from corpus.languages import check_pair

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from corpus.console import Console
    from corpus.stages import StageRun
    from corpus.workspace import Workspace

STAGES = {"extract": extract.update, "catalogue": dedup.update, "segment": segment.update}


def text(console: Console, last: str = "segment", *, only: bool = False, dry: bool = False) -> None:
    """Bring articles and sentences up to date.

    Args:
        console: tells what was done.
        last: the last stage to run.
        only: run this stage alone.
        dry: say what would run.
    """
    workspace = console.workspace
    runs = []
    for name, update in STAGES.items():
        if not only or name == last:
            with workspace.lock(name), console.progress(name) as progress:
                runs.append(update(workspace, engine=Pool(), progress=progress, dry=dry))
            console.stage(runs[-1])
        if name == last:
            break
    record(workspace, "corpus", runs)


def record(workspace: Workspace, command: str, runs: Sequence[StageRun]) -> None:
    """Keep what a run did, unless it did nothing."""
    if not any(run.changed for run in runs):
        return
    now = datetime.now(UTC)
    path = workspace.runs / f"{now:%Y%m%dT%H%M%S%f}-{command}.json"
    stages = [
        {"stage": r.stage, "made": r.n_made, "removed": r.n_removed, "counts": r.counts}
        for r in runs
    ]
    fact = {"command": command, "ended": now.isoformat(), "version": __version__, "stages": stages}
    tables.write_text(path, json.dumps(fact, indent=1))


def language_pairs(workspace: Workspace, chosen: Sequence[str] = ()) -> list[str]:
    """Choose the language pairs to align.

    Those that were asked for; else those that the crawled sites' profiles name,
    and every two languages where articles came as files alone.

    Raises:
        LanguageError: a pair is unknown, has no articles, or is aligned the other way.
        EmptyError: there are no articles at all.
    """
    present = dedup.load(workspace)["lang"].unique().sort().to_list()
    if not present:
        raise EmptyError(_why_empty(workspace))
    named = _profile_pairs(workspace)
    if chosen:
        known = {*named, *pairs.language_pairs(workspace)}
        return [_checked(check_pair(pair), present, known) for pair in chosen]
    plain = [lang for lang in present if "-" not in lang]  # a pair's name has one hyphen
    named = named or [f"{a}-{b}" for a, b in permutations(plain, 2) if a > b]
    return [pair for pair in named if set(pair.split("-")) <= set(present)]


def _checked(pair: str, present: Sequence[str], known: Collection[str]) -> str:
    """Refuse a pair that has no articles, or whose reverse is aligned already."""
    for lang in pair.split("-"):
        if lang not in present:
            raise LanguageError(
                f"no article in '{lang}' (from {pair}); this workspace has {', '.join(present)}"
            )
    reverse = "-".join(reversed(pair.split("-")))
    if reverse in known and pair not in known:
        raise LanguageError(f"this workspace aligns {reverse}, not {pair}; give --pair {reverse}")
    return pair


def _profile_pairs(workspace: Workspace) -> list[str]:
    used = [workspace.profile(folder.name) for folder in sorted(workspace.pages.glob("*/"))]
    profiles = [sites.load_profile(str(path)) for path in used if path.exists()]
    return list(dict.fromkeys(pair for profile in profiles for pair in profile.pairs))


def _why_empty(workspace: Workspace) -> str:
    """Say which stage dropped what."""
    from corpus import stages

    counts = stages.counts(workspace.extracted)
    if not counts.get("pages") and any(workspace.pages.glob("*/*.warc.gz")):
        return "there are no articles: pages are fetched and not extracted; run corpus extract"
    if not counts.get("pages"):
        return "there are no articles: no page is fetched yet; start with corpus crawl SITE"
    reasons = ", ".join(f"{n} {k.partition('.')[2]}" for k, n in counts.items() if "." in k)
    return (
        f"there are no articles: extract dropped all {counts['pages']} pages ({reasons}); "
        "see corpus report, and corpus sites check SITE"
    )
