"""What ``corpus crawl`` and ``corpus sites check`` do and print."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from corpus.crawl import CrawlProgress, crawl
from corpus.crawl.check import check_profile
from corpus.errors import InputError, WorkspaceError
from corpus.sample.serve import SITE, served
from corpus.sites import Budget, load_profile
from corpus.workspace import check_contact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from corpus.console import Console
    from corpus.sites import Profile


def crawl_site(
    console: Console, site: str, *, budget: Sequence[str] = (), bounds: Mapping[str, Any]
) -> None:
    """Crawl a site; the bundled newsroom is served for the time of its crawl.

    Args:
        console: where to say what was done.
        site: a name or a file.
        budget: parts of the profile's budget that this run changes, such as pages=100.
        bounds: what `crawl` takes beside.

    Raises:
        InputError: ``budget`` cannot be read.
    """
    profile = _with_budget(load_profile(site), budget)
    with host_map(site) as mapped, console.progress(f"crawling {site}") as bar:
        told = _teller(console, bar)
        result = crawl(console.workspace, profile, host_map=mapped, progress=told, **bounds)
    for url, reason in result.failed_sources:
        console.say(f"source {url}: {reason}")
    for host, bound in result.spent:
        console.say(f"{host} gives no more in this run: {bound}")
    rows = [("pages fetched", result.n_pages), ("articles by their URL", result.n_articles)]
    rows += [("unchanged", result.n_unchanged)] if result.n_unchanged else []
    rows += [("waiting", result.n_waiting), ("left for later", result.n_later)]
    rows += [("failed", result.n_failed)]
    rows += [(f"  {reason}", n) for reason, n in sorted(result.reasons.items())]
    console.table(f"{profile.title}: {result.stopped}", ("", "n"), rows)
    if result.n_waiting:
        console.show(f"{result.n_waiting} pages wait: run again")
    if result.n_later:
        console.show(f"older pages wait: corpus crawl {site} --all takes them")
    console.show("next: align sentences (or corpus extract, corpus report)")
    console.emit(result.model_dump())


def _with_budget(profile: Profile, parts: Sequence[str]) -> Profile:
    values = profile.budget.model_dump() | dict(part.partition("=")[::2] for part in parts)
    try:
        return profile.model_copy(update={"budget": Budget.model_validate(values)})
    except ValidationError as error:
        raise InputError(
            f"cannot read --budget {', '.join(parts)}; write pages=N, bytes=N or seconds=N, over 0"
        ) from error


def check_site(
    console: Console, site: str, *, live: bool, pages: Path | None, contact: str
) -> None:
    """Show what a profile understands of its site."""
    profile = load_profile(site)
    if not live and pages is None:
        console.show(
            f"the profile {profile.name} is valid ({', '.join(profile.languages)}); --live asks "
            "the site what it finds, --pages pages/SITE looks at what was crawled"
        )
        console.emit([])
        return
    if live and site != SITE:
        contact = contact or _contact(console)
        check_contact(contact)
    with host_map(site) as mapped, console.progress(f"checking {site}"):
        checks = check_profile(
            profile, live=live, pages_dir=pages, contact=contact, host_map=mapped
        )
    rows = [(c.lang, c.host, c.n_listed, c.n_articles, len(c.titles)) for c in checks]
    columns = ("lang", "host", "URLs listed", "articles by pattern", "pages looked at")
    console.table(profile.title, columns, rows)
    for c in checks:
        titles = list(c.titles.items())
        others = [(url, "no article by the patterns") for url in c.others[:3]]
        found = titles + others + c.failed
        if found:
            console.table(f"{c.lang}: {c.host}", ("URL", "title, or what is wrong"), found)
        for row in c.fields:
            console.table(row["url"], ("field", "taken"), [r for r in row.items() if r[0] != "url"])
        for name, n in c.selectors.items():
            console.show(f"select.{name} found something on {n} of {len(c.fields)} pages")
    console.emit([asdict(c) for c in checks])
    if drifts := [f"{c.lang} ({c.host}): {c.drift}" for c in checks if c.drift]:
        raise InputError(f"{'; '.join(drifts)}; compare the profile with the site's pages")


def _contact(console: Console) -> str:
    """Find whom the site may write to, in the workspace where there is one."""
    with suppress(WorkspaceError):
        return console.workspace.contact
    raise InputError("--live asks a site, which wants to know by whom: --contact you@example.org")


def host_map(site: str) -> AbstractContextManager[dict[str, str]]:
    """Say where the hosts of a site are reached: the bundled newsroom is served meanwhile."""
    return served() if site == SITE else nullcontext({})


def _teller(console: Console, bar: Callable[[int, int], None]) -> Callable[[CrawlProgress], None]:
    """Move the bar, and say once what is to expect."""
    told = False

    def tell(at: CrawlProgress) -> None:
        nonlocal told
        bar(at.n_done, at.n_total)
        if at.phase == "pages" and not told:
            told = True
            console.say(f"sources are read: {at.n_total} pages to fetch{delays(at.seconds)}")

    return tell


def delays(seconds: float) -> str:
    """Say how long a run's delays take, where there are any."""
    if not seconds:
        return ""
    n, unit = (seconds, "seconds") if seconds < 120 else (seconds / 60, "minutes")
    return f", about {n:.0f} {unit} of delays"
