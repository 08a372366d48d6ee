"""Paraphrase triples: candidates, checks, a sample of them, a negative for each.

Whoever proposes a pair stands on the item, so that scores can be read by proposer: an
encoder looks good on what it chose itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from align.encoders import load_encoder
from benchmarks.build import candidates, checks, items
from benchmarks.build.checks import Rules
from benchmarks.build.items import ITEMS, TRIPLE
from benchmarks.build.negatives import Edit, edits, names_in
from corpus import reserved
from corpus.languages import check_language
from corpus.tables import REJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from align.encoders import Encoder
    from benchmarks.build.chat import Chat
    from corpus.console import Console
    from corpus.workspace import Workspace

STAGE = "build"
LENGTHS = (10, 18)  # words of an anchor: short, middle, long


@dataclass(frozen=True, slots=True)
class Options:
    """How a set is built; see the command's help."""

    lang: str
    encoders: tuple[str, ...] = ("embedded",)
    near: float = 0.8
    band: tuple[float, float] = (0.8, 0.95)
    overlap: float = 0.5
    unshared: int = 0
    size: int = 400


class Triple(NamedTuple):
    """An item in the making: three texts, and where the first two are from."""

    anchor: str
    paraphrase: str
    negative: Edit
    proposer: str
    articles: tuple[str | None, str | None]
    licences: tuple[str | None, str | None]


@dataclass(slots=True)
class Draft:
    """What came through so far, and what did not."""

    rules: Rules
    names: frozenset[str]
    rejects: list[dict[str, str]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def reject(self, texts: Sequence[str], said: str) -> None:
        """Note why texts are no item: a reason, a space, the value."""
        reason, _, value = said.partition(" ")
        name = items.item_id(TRIPLE, self.rules.lang, texts)
        self.rejects.append({"id": name, "stage": STAGE, "reason": reason, "value": value})

    def take(self, anchor: str, paraphrase: str) -> bool:
        """Check a pair, and take its texts out of what others may use."""
        folded = checks.folded([anchor, paraphrase])
        said = next(filter(None, map(self.rules.text, (anchor, paraphrase))), None)
        said = said or self.rules.paraphrase(anchor, paraphrase)
        if not said and not self.taken.isdisjoint(folded):
            said = "duplicate one of its texts is in a better candidate"
        if said:
            self.reject([anchor, paraphrase], said)
            return False
        self.taken.update(folded)
        return True

    def edits(self, anchor: str, paraphrase: str) -> list[Edit]:
        """Give the negatives that one edit can make of an anchor and that are hard enough."""
        made = edits(anchor, self.rules.lang, self.names)
        return [e for e in made if not checks.negative(anchor, paraphrase, e.text)]


def build(console: Console, name: str, options: Options, chat: Chat | None) -> pl.DataFrame:
    """Build a set of paraphrase triples of one language, and show what it is made of.

    Raises:
        EmptyError: nothing came through the checks.
        InputError: the set was judged already, or its name or language is none.
        LanguageError: an encoder does not know the language.
    """
    workspace, lang = console.workspace, check_language(options.lang)
    encoders = [load_encoder(spec) for spec in options.encoders]
    draft = Draft(Rules(lang, options.overlap, options.unshared), _names(workspace, lang))
    found = [candidates.pivots(workspace, lang, encoders[0], options.near)]
    if len(encoders) > 1:
        found.append(candidates.neighbours(workspace, lang, encoders, options.band))
    chosen = _choose(workspace, pl.concat(found), draft, options, chat)
    triples = _with_negatives(chosen, draft, chat)
    rows = _items(workspace, encoders[0], triples, lang)
    items.save(workspace, name, rows, REJECTS.frame(draft.rejects).unique(REJECTS.key))
    _show(console, name, rows, draft)
    return rows


def _choose(
    workspace: Workspace, found: pl.DataFrame, draft: Draft, options: Options, chat: Chat | None
) -> list[Triple]:
    """Sift what was proposed, spread a sample over its kinds, let a chat model fill it up."""
    known = reserved.load(workspace)
    if known and len(found):
        leaks = reserved.mark(found, ["a_text", "b_text"], known)
        for a, b in found.filter(leaks).select("a_text", "b_text").iter_rows():
            draft.reject([a, b], "leak a reserved text")
        found = found.filter(~leaks)
    triples = []
    for row in found.iter_rows(named=True):
        sides = [{name: row[f"{x}_{name}"] for name in candidates.SIDE} for x in "ab"]
        a, b = (side["text"] for side in sides)
        if not draft.take(a, b):
            continue
        ways = [draft.edits(a, b), draft.edits(b, a)]
        if not any(ways) and chat is None:
            draft.taken.difference_update(checks.folded([a, b]))  # others may use them
            draft.reject([a, b], "no_negative nothing of it can be edited")
            continue
        if len(ways[1]) > len(ways[0]):
            sides.reverse()
        (a, b), articles, licences = zip(*(side.values() for side in sides), strict=True)
        triples.append(Triple(a, b, Edit("", ""), row["proposer"], articles, licences))
    triples = spread(triples, options.size)
    if chat is not None and len(triples) < options.size:
        triples += _asked(workspace, draft, options.size - len(triples), chat, known)
    return triples


def _asked(
    workspace: Workspace, draft: Draft, n: int, chat: Chat, known: Sequence[str]
) -> list[Triple]:
    """Ask a chat model for paraphrases of sentences that are in no pair yet."""
    rows = items.sentences(workspace, draft.rules.lang).unique("text").sort("text_key")
    rows = reserved.drop(rows, ["text"], known)
    free = [
        (text, article)
        for text, article in rows.select("text", "article_id").iter_rows()
        if not draft.rules.text(text) and draft.taken.isdisjoint(checks.folded([text]))
    ][:n]
    triples = []
    answers = chat.ask("paraphrase", draft.rules.lang, [text for text, _ in free])
    for (text, article), answer in zip(free, answers, strict=True):
        if not answer.text:
            draft.reject([text], answer.problem)
        elif draft.take(text, answer.text):
            origin = (article, article)
            nothing = (None, None)
            triples.append(Triple(text, answer.text, Edit("", ""), chat.name, origin, nothing))
    return triples


def _with_negatives(chosen: list[Triple], draft: Draft, chat: Chat | None) -> list[Triple]:
    """Give each triple its negative, the kinds of edits as even as can be.

    The chat model's is taken where it passes the checks, else an edit made here.
    """
    answers = chat.ask("negative", draft.rules.lang, [t.anchor for t in chosen]) if chat else []
    used: Counter[str] = Counter()
    triples = []
    for n, triple in enumerate(chosen):
        ways = draft.edits(triple.anchor, triple.paraphrase)
        if chat:
            said = answers[n].problem or checks.negative(*triple[:2], answers[n].text)
            said = said or draft.rules.text(answers[n].text)
            if said:
                draft.reject([triple.anchor, answers[n].text], said)
            else:
                ways = [Edit(chat.name, answers[n].text)]
        if not ways:
            draft.reject(triple[:2], "no_negative nothing of it can be edited")
            continue
        edit = min(ways, key=lambda e: (used[e.kind], e.kind))
        used[edit.kind] += 1
        triples.append(triple._replace(negative=edit))
    return triples


def spread(triples: Sequence[Triple], size: int) -> list[Triple]:
    """Take so many triples, as many of each proposer and length as there are, the best first."""
    ranks: Counter[tuple[str, int]] = Counter()
    placed = []
    for n, triple in enumerate(triples):
        length = sum(checks.n_words(triple.anchor) > most for most in LENGTHS)
        stratum = (triple.proposer, length)
        placed.append((ranks[stratum], stratum, n))
        ranks[stratum] += 1
    return [triples[n] for _, _, n in sorted(placed)[:size]]


def _names(workspace: Workspace, lang: str) -> frozenset[str]:
    """Collect names from the workspace's other languages, where a capital shows them."""
    folders = sorted(path.name for path in workspace.sentences.glob("*/") if path.name != lang)
    found = (names_in(items.sentences(workspace, other)["text"], other) for other in folders)
    return frozenset().union(*found)


def _items(
    workspace: Workspace, encoder: Encoder, triples: Iterable[Triple], lang: str
) -> pl.DataFrame:
    """Give triples as the table of items."""
    rows = [
        {
            "texts": [t.anchor, t.paraphrase, t.negative.text],
            "a_text": t.anchor,
            "b_text": t.paraphrase,
            "a_article": t.articles[0],
            "b_article": t.articles[1],
            "licence": t.licences,
            "proposer": t.proposer,
            "edit": t.negative.kind,
        }
        for t in triples
    ]
    if not rows:
        return ITEMS.empty()
    frame = pl.DataFrame(rows, infer_schema_length=None)
    sim, lexical = candidates.scores(workspace, encoder, frame)
    ids = [items.item_id(TRIPLE, lang, texts) for texts in frame["texts"]]
    frame = frame.with_columns(
        pl.lit(TRIPLE).alias("kind"),
        pl.lit(lang).alias("langs"),
        pl.lit(None, pl.Float64).alias("margin"),
        pl.lit(None, pl.Float64).alias("q"),
        pl.Series("item_id", ids),
        pl.Series("sim", sim),
        pl.Series("lexical", lexical),
    )
    frame = items.with_origin(workspace, frame, [lang, lang], ["a_article", "b_article"])
    return ITEMS.conform(frame)


def _show(console: Console, name: str, rows: pl.DataFrame, draft: Draft) -> None:
    """Show what a set is made of, why others are not in it, and what comes next."""
    counts = rows.group_by("proposer", "edit").len("n").sort("proposer", "edit")
    console.table(f"{name}: {len(rows)} items", ["proposer", "edit", "items"], counts.rows())
    reasons = Counter(row["reason"] for row in draft.rejects)
    if reasons:
        console.table("Candidates that are no items", ["reason", "n"], sorted(reasons.items()))
    console.say(f"next, for each of two judges: benchmarks review {name} --judge NAME")
    console.emit({"set": name, "n_items": len(rows), "rejects": dict(sorted(reasons.items()))})
