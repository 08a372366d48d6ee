"""From judgements to a set: what two judges kept, how well they agree, and whether it is fit."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from benchmarks.build import items
from benchmarks.build.items import ROLES, TRIPLE
from benchmarks.review.store import Store
from corpus import __version__, reserved, tables
from corpus.errors import EmptyError, InputError
from corpus.languages import language_name
from corpus.release.rows import SAMPLE
from corpus.release.stops import may_publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from corpus.console import Console
    from corpus.workspace import Workspace

LEAST_ITEMS, LEAST_KAPPA = 300, 0.6  # of a set that may be published
FACTS, TASK, DATA = "set.json", "task.toml", "data/test.jsonl"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a finished set is, and why it may not be published.

    Attributes:
        judges: how many items each of them judged as it was built; their names stay here.
        verdicts: of both judges on the same item, such as ``accept, edit``, and how often.
        kappa: Cohen's, over these; None where they leave no room for chance.
        against: reasons not to publish it.
    """

    name: str
    kind: str
    langs: str
    n_items: int
    n_built: int
    judges: Sequence[int]
    verdicts: Mapping[str, int]
    kappa: float | None
    proposers: Mapping[str, int]
    edits: Mapping[str, int]
    licences: Sequence[str]
    against: Sequence[str] = ()
    bitextile: str = field(default=__version__)


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Measure how much more two judges agree than chance would have them (Cohen 1960).

    With p the share of items on which they agree and e the share on which two judges
    would who give each verdict as often as these do, it is (p - e) / (1 - e).

    Args:
        pairs: both judges' verdict on each item.

    Returns:
        At most 1; None without items, or where both always give the same verdict.
    """
    n = len(pairs)
    first, second = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    by_chance = sum(first[verdict] * second[verdict] for verdict in first)
    if by_chance == n * n:
        return None
    agreed = sum(a == b for a, b in pairs)
    return (agreed * n - by_chance) / (n * n - by_chance)


def first_verdicts(store: Store, judge: str) -> dict[str, str]:
    """Give a judge's verdict on each item as it was built."""
    given = (one for one in store.judgements() if one.judge == judge and one.verdict != "skip")
    return {one.item_id: one.verdict for one in given if one.version == one.item_id}


def verdicts_of_both(store: Store, a: str, b: str) -> list[tuple[str, str]]:
    """Give the verdicts of two judges on each item that both judged as it was built."""
    one, two = first_verdicts(store, a), first_verdicts(store, b)
    return [(one[item], two[item]) for item in sorted(one.keys() & two.keys())]


def agreement(store: Store) -> dict[tuple[str, str], float | None]:
    """Give Cohen's kappa of every two judges."""
    pairs = combinations(store.judges(), 2)
    return {(a, b): cohens_kappa(verdicts_of_both(store, a, b)) for a, b in pairs}


def agreed(store: Store, chosen: Sequence[str] = ()) -> dict[str, bool]:
    """Tell of each pair on which two judges agree whether it is a translation."""
    judges = two_judges(store, chosen)
    one, two = (first_verdicts(store, judge) for judge in judges)
    both = {
        item: (one[item] != "reject", two[item] != "reject") for item in one.keys() & two.keys()
    }
    return {item: a for item, (a, b) in both.items() if a == b}


def two_judges(store: Store, chosen: Sequence[str] = ()) -> tuple[str, str]:
    """Give the two judges of a set.

    Raises:
        InputError: there are not two, or more of whom none were chosen.
    """
    there = store.judges()
    judges = list(chosen) or there
    if len(judges) != 2 or not set(judges) <= set(there):
        raise InputError(
            f"judged by {', '.join(there) or 'nobody'}; two judges make a set: "
            "benchmarks review SET --judge NAME, or name two of them with --judge A --judge B"
        )
    return judges[0], judges[1]


def finish(workspace: Workspace, name: str, chosen: Sequence[str] = ()) -> Facts:
    """Write what both judges kept as a folder; triples are a task at once, their texts reserved.

    An item is kept in the words that both keep: as it was built, else the latest edit.

    Raises:
        InputError: there is no such set, or it has not two judges.
        EmptyError: they kept nothing in common.
    """
    store = Store(workspace.judgements(name), items.load(workspace, name))
    judges = two_judges(store, chosen)
    kept: dict[str, Sequence[str]] = {}
    for version in sorted(store.versions().values(), key=lambda v: not v.is_edit):
        if set(judges) <= version.keepers:
            kept[version.item_id] = version.texts
    if not kept:
        raise EmptyError(f"the judges of {name} kept no item in the same words: judge more of them")
    facts = _facts(store, name, judges, kept)
    _write(workspace, store, facts, kept)
    if facts.kind == TRIPLE:  # judged pairs are no evaluation: they stay in the corpus
        reserved.reserve(workspace, (text for texts in kept.values() for text in texts))
    return facts


def _facts(
    store: Store, name: str, judges: tuple[str, str], kept: Mapping[str, Sequence[str]]
) -> Facts:
    rows = [store.items[item] for item in sorted(kept)]
    both = verdicts_of_both(store, *judges)
    kappa = cohens_kappa(both)
    by_script = any(one.by_script for one in store.judgements() if one.judge in judges)
    origins = [(row["licence"], row["basis"], row["site"]) for row in rows]
    against = {
        f"{len(rows)} items, under {LEAST_ITEMS}": len(rows) < LEAST_ITEMS,
        f"kappa {_number(kappa)}, under {LEAST_KAPPA}": kappa is None or kappa < LEAST_KAPPA,
        "a script judged it": by_script,
        "its texts are invented": any(SAMPLE in sites for *_, sites in origins),
        "it holds texts without an open licence or a permission": not all(
            may_publish(licence, basis)
            for licences, bases, _ in origins
            for licence, basis in zip(licences, bases, strict=True)
        ),
    }
    return Facts(
        name,
        rows[0]["kind"],
        rows[0]["langs"],
        len(rows),
        len(store.items),
        [len(first_verdicts(store, judge)) for judge in judges],
        _counts(f"{a}, {b}" for a, b in both),
        None if kappa is None else round(kappa, 4),
        _counts(row["proposer"] for row in rows),
        _counts(row["edit"] or "" for row in rows),
        sorted({licence for licences, *_ in origins for licence in licences if licence}),
        [reason for reason, holds in against.items() if holds],
    )


def _write(
    workspace: Workspace, store: Store, facts: Facts, kept: Mapping[str, Sequence[str]]
) -> None:
    """Write data, facts and task; what an earlier finish left goes first."""
    folder = workspace.finished_set(facts.name)
    shutil.rmtree(folder, ignore_errors=True)
    lines = []
    for item in sorted(kept):
        row = store.items[item]
        texts = dict(zip(ROLES[facts.kind], kept[item], strict=True))
        extra = {"lang": facts.langs, "proposer": row["proposer"], "edit": row["edit"]}
        lines.append(json.dumps({**texts, **extra}, ensure_ascii=False) + "\n")
    tables.write_text(folder / DATA, "".join(lines))
    tables.write_text(folder / FACTS, json.dumps(asdict(facts), ensure_ascii=False, indent=1))
    if facts.kind == TRIPLE:
        tables.write_text(folder / TASK, task(facts))


def task(facts: Facts) -> str:
    """Say what the task on a finished set is, as `benchmarks run` reads it."""
    mark = "" if not facts.against else f"not publishable: {'; '.join(facts.against)}; "
    summary = f"paraphrase triples, {mark}kappa {_number(facts.kappa)}"
    columns = (*ROLES[TRIPLE], "lang", "proposer")
    values: dict[str, object] = {
        "name": facts.name.lower(),
        "kind": "triples",
        "summary": f"{language_name(facts.langs)} {summary}",
        "licence": ", ".join(facts.licences) or "none stated",
        "citation": f"made with Bitextile {facts.bitextile}",
        "languages": [facts.langs],
        "size": f"{facts.n_items} triples",
        "items": facts.n_items,
        "chance": 0.5,
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    lines += ["", "[files]", f'test = "{DATA}"', "", "[columns]"]
    lines += [f'{column} = "{column}"' for column in columns]
    return "\n".join(lines) + "\n"


def show(console: Console, facts: Facts) -> None:
    """Show what a set has become."""
    rows = sorted(facts.verdicts.items())
    console.table("Both judges on the same item", ["verdicts", "items"], rows)
    console.show(
        f"{facts.name}: {facts.n_items} of {facts.n_built} items kept, "
        f"kappa {_number(facts.kappa)}; {console.workspace.finished_set(facts.name)}"
    )
    if facts.kind == TRIPLE:
        console.say(f"next: benchmarks run MODEL --task {facts.name}")
        if facts.against:
            console.say(f"not publishable: {'; '.join(facts.against)}")
    console.emit(asdict(facts))


def _number(kappa: float | None) -> str:
    return "undefined" if kappa is None else f"{kappa:.2f}"


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
