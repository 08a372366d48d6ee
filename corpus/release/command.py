"""What ``corpus publish`` and ``corpus rebuild`` do and print."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from corpus import chain, extract, stages, tables
from corpus.crawl import crawl
from corpus.crawl.command import host_map
from corpus.crawl.frontier import Frontier
from corpus.files import list_files
from corpus.pages import take
from corpus.release import make_release, manifest
from corpus.release.hub import publish
from corpus.release.rebuild import (
    Rebuilt,
    find_again,
    for_urls,
    local_folder,
    read_config,
)
from corpus.release.rows import ARTICLES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from corpus.console import Console
    from corpus.release import Options
    from corpus.sites import Profile


def release(console: Console, name: str, options: Options, *, dry_run: bool, private: bool) -> None:
    """Make a release, show what would go up, and publish it unless this is a rehearsal."""
    made = make_release(console.workspace, name, options)
    files = list_files(made.folder)
    rows = [(p.relative_to(made.folder).as_posix(), p.stat().st_size) for p in files]
    console.table(f"{name}: {made.folder}", ("file", "bytes"), rows)
    for what, (n, samples) in made.personal.items():
        advice = "masked" if options.mask else "look at them, or add --mask"
        console.say(f"{n} texts hold what looks like a {what} ({'; '.join(samples)}): {advice}")
    if made.n_left_out:
        console.say(f"{made.n_left_out} pairs came as files, without an article: left out")
    record = {
        "folder": str(made.folder),
        "files": dict(rows),
        "personal": {what: n for what, (n, _) in made.personal.items()},
        "url": None,
        "commit": None,
    }
    if not dry_run:
        done = publish(made.folder, name, private=private)
        console.show(f"published: {done.url} (commit {done.commit or 'none: nothing new'})")
        record |= {"url": done.url, "commit": done.commit}
    console.emit(record)


def rebuild(console: Console, source: str, warcs: Sequence[Path]) -> None:
    """Find the text of a deferred release again, and say what changed or has gone."""
    workspace, folder = console.workspace, local_folder(source)
    facts = manifest.load(folder)
    for said in facts.differences():
        console.say(f"{said}: some sentences may be cut elsewhere and not be found")
    asked = read_config(folder, "articles", ARTICLES)
    reasons: dict[str, str] = {}
    for profile in facts.profiles:
        plain = for_urls(profile)
        if warcs:
            take(workspace, warcs, plain)
        else:
            urls = asked.filter(site=profile.name)["url"].to_list()
            with host_map(profile.name) as hosts:
                reasons |= _fetch(console, plain, urls, hosts)
    chain.text(console, "extract")
    rejects = stages.scan(extract.STAGE, workspace.extracted, tables.REJECTS)
    reasons |= dict(rejects.select("id", "reason").iter_rows())
    found = find_again(workspace, folder, reasons)
    for langs, pairs in found.pairs.items():
        tables.write(workspace.rebuilt(facts.name, langs), tables.SENTENCE_PAIRS, pairs)
    _show(console, facts.name, found)


def _fetch(
    console: Console, profile: Profile, urls: Sequence[str], hosts: Mapping[str, str]
) -> dict[str, str]:
    """Fetch pages by their addresses; give why some did not come."""
    with console.progress(f"fetching {profile.title}") as bar:
        crawl(
            console.workspace,
            profile,
            host_map=hosts,
            urls=urls,
            progress=lambda at: bar(at.n_done, at.n_total),
        )
    with closing(Frontier(console.workspace.frontier(profile.name), read_only=True)) as frontier:
        return {url: reason or "" for url, reason, _ in frontier.urls("failed")}


def _show(console: Console, name: str, found: Rebuilt) -> None:
    """Show how many pairs are there again, and each article that is not what it was."""
    rows = [
        (langs, len(pairs), sum(found.lost[langs].values()), _reasons(found.lost[langs]))
        for langs, pairs in found.pairs.items()
    ]
    columns = ("languages", "pairs found again", "lost", "why")
    console.table(f"{name}: {console.workspace.rebuilt(name, '').parent}", columns, rows)
    other = [fate for fate in found.fates if fate.state != "same"]
    if other:
        console.table("Articles that are not what they were", ("URL", "state", "reason"), other)
    n_same = len(found.fates) - len(other)
    console.say(f"{n_same} of {len(found.fates)} articles are as they were")
    console.emit(
        {
            "pairs": {langs: len(pairs) for langs, pairs in found.pairs.items()},
            "lost": {langs: dict(why) for langs, why in found.lost.items()},
            "articles": [fate._asdict() for fate in found.fates],
        }
    )


def _reasons(lost: Counter[str]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in lost.most_common())
