"""What the commands run: each stage after its inputs, and what they print."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align import articles as article_stage
from align import decide, summary
from align import sentences as sentence_stage
from align.confidence import load_calibration
from align.encoders import check_languages, load_encoder
from align.prefilter import Prefilter
from align.services import Terms
from align.stored import foresee_pairs
from corpus import chain as corpus_chain
from corpus.errors import EmptyError, InputError, LanguageError
from corpus.ledger import steps
from corpus.pairs import aligned_pairs, article_pairs, language_pairs, sentence_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from align.confidence import Calibration
    from align.encoders import Encoder
    from corpus.console import Console
    from corpus.stages import StageRun


STATES = ("paired", "below_floor", "none_in_window", "undated")
CUT_COLUMNS = ("margin ≥", "or cosine ≥", "pairs", "est. precision")
CUT_NAMES = ("min_margin", "min_cosine", "n_pairs", "est_precision")
WINDOW = 2  # days
UNKNOWN = "how many are false is not known: that takes 200, and articles of 60 days away"


@dataclass(frozen=True, slots=True)
class Options:
    """The options that both stages take; ``window`` None is the workspace's or 2 days."""

    pairs: tuple[str, ...] = ()
    encoder: str = "embedded"
    lexical: float | None = None
    window: int | None = None
    prefilter: str | None = None
    any_language: bool = False
    only: bool = False
    dry_run: bool = False
    method: str = "margin"
    calibrations: tuple[Path, ...] = ()
    terms: Terms | None = None


def articles(console: Console, options: Options) -> None:
    """Bring the article pairs up to date, and tell what became of the articles."""
    langs = _begin(console, options)
    runs = _articles(console, langs, options)
    if options.dry_run:
        return
    rows = [
        [pair, lang, *(run.counts.get(f"{side}.{state}", 0) for state in STATES)]
        for pair, run in runs.items()
        for side, lang in zip(("src", "tgt"), pair.split("-"), strict=True)
    ]
    titles = ("languages", "articles in", *(state.replace("_", " ") for state in STATES))
    console.table("What became of the articles", titles, rows)
    for pair in langs:
        q = article_pairs(console.workspace, pair)["q"].drop_nulls()
        told = f"at most {q.to_numpy().max():.1%} false, by the estimate" if len(q) else UNKNOWN
        console.say(f"{pair}: {runs[pair].counts.get('pairs', 0):,} article pairs; {told}")
    console.emit([dict(zip(("langs", "lang", *STATES), row, strict=True)) for row in rows])


def sentences(console: Console, options: Options, cuts: decide.Cuts) -> None:
    """Bring the sentence pairs up to date, and show cut-offs and samples."""
    langs = _sentences(console, options, cuts)
    if options.dry_run:
        return
    results = [show(console, p, sentence_pairs(console.workspace, p), cuts) for p in langs]
    if not any(result["n_kept"] for result in results):
        _say_why(console)
    console.emit(results)


def bring_up(console: Console, pairs: tuple[str, ...]) -> None:
    """Align with the workspace's own options where nothing is aligned yet."""
    if aligned_pairs(console.workspace):
        return
    found = console.workspace.defaults.get("align", {}).get("sentences", {})
    own = {name.replace("-", "_"): value for name, value in found.items()}
    names = {field.name for field in fields(Options)} - {"pairs"}
    own["calibrations"] = tuple(map(Path, own.get("calibration", ())))
    price = (own["price"], 0.0) if "price" in own else None
    own["terms"] = Terms(own.get("base_url"), own.get("max_cost"), price, console.say)
    options = Options(pairs=pairs, **{k: v for k, v in own.items() if k in names})
    cuts = decide.Cuts(*(own.get(name) for name in ("threshold", "margin", "fdr")))
    try:
        _sentences(console, options, cuts)
    except EmptyError:
        if not language_pairs(console.workspace):
            raise  # nothing was imported either


def _sentences(console: Console, options: Options, cuts: decide.Cuts) -> list[str]:
    """Run all stages up to the sentence pairs; give the language pairs."""
    if options.prefilter and options.method != "margin":
        raise InputError("--prefilter goes with --method margin alone: beads need every sentence")
    langs = _begin(console, options)
    above = _article_options(console, options)
    if not options.only:
        _articles(console, langs, above)
    encoder = load_encoder(options.encoder, options.terms)
    weak = load_encoder(options.prefilter, options.terms) if options.prefilter else None
    prefilter = Prefilter(console.workspace, weak, encoder) if weak else None
    known = _known(console, langs, encoder, options)
    judged = _calibrations(options, known, encoder)
    if prefilter is None:  # what a prefilter leaves is foreseen month by month
        in_runs = options.method == "beads"
        foresee_pairs(console.workspace, encoder, known, paired=True, in_runs=in_runs)
    for pair in known:
        with console.progress(f"sentences {pair}") as progress:
            runs = sentence_stage.update(
                console.workspace,
                pair,
                encoder,
                cuts,
                window=WINDOW if above.window is None else above.window,
                lexical=options.lexical,
                method=options.method,
                prefilter=prefilter,
                calibration=judged.get(pair),
                progress=progress,
                dry=options.dry_run,
            )
        _tell(console, pair, runs)
        if pair in judged:
            n = judged[pair].n_judged
            console.say(f"{pair}: precision and --fdr are by {n} judged pairs, not by decoys")
    return known


def _calibrations(
    options: Options, langs: Sequence[str], encoder: Encoder
) -> dict[str, Calibration]:
    """Read what judged pairs say, by language pair; it must be of the same encoder and method."""
    found = {}
    own = f"{encoder.name} {options.method}"
    for path in options.calibrations:
        one = load_calibration(path)
        if one.langs not in langs or one.made_by != own:
            raise InputError(
                f"{path} is of {one.langs} by {one.made_by}; aligned here: "
                f"{', '.join(langs)} by {own}"
            )
        found[one.langs] = one
    return found


def _say_why(console: Console) -> None:
    from corpus.report import verdicts  # its plots are slow to import

    for line in verdicts(steps(console.workspace)):
        console.say(line)


def _begin(console: Console, options: Options) -> list[str]:
    """Bring the text up to date; give the language pairs to align."""
    if not options.only:
        corpus_chain.text(console, dry=options.dry_run)
    try:
        return corpus_chain.language_pairs(console.workspace, options.pairs)
    except EmptyError as error:
        if not options.dry_run:
            raise
        console.say(f"{error}; what would follow depends on it")
        return []


def _articles(console: Console, langs: list[str], options: Options) -> dict[str, StageRun]:
    encoder = load_encoder(options.encoder, options.terms)
    settings = article_stage.Settings(
        window=WINDOW if options.window is None else options.window, lexical=options.lexical
    )
    known = _known(console, langs, encoder, options)
    foresee_pairs(console.workspace, encoder, known)
    folds = {}
    for pair in known:
        with console.progress(f"articles {pair}") as progress:
            runs = article_stage.update(
                console.workspace, pair, encoder, settings, progress=progress, dry=options.dry_run
            )
        _tell(console, pair, runs)
        folds[pair] = runs[-1]
    return folds


def _article_options(console: Console, options: Options) -> Options:
    """Take the article stage's encoder and window from the workspace's file: they are its own."""
    own = console.workspace.defaults.get("align", {}).get("articles", {})
    window = own.get("window") if options.window is None else options.window
    return replace(
        options, encoder=own.get("encoder", "embedded"), lexical=own.get("lexical"), window=window
    )


def _known(console: Console, langs: list[str], encoder: Encoder, options: Options) -> list[str]:
    """Take the pairs whose languages the encoder knows; one that was asked for must be known."""
    known = []
    for pair in langs:
        try:
            check_languages(encoder, pair.split("-"), any_language=options.any_language)
            known.append(pair)
        except LanguageError as error:
            if options.pairs or len(langs) == 1:
                raise
            console.say(f"{pair} is left out: {error}")
    return known


def _tell(console: Console, pair: str, runs: list[StageRun]) -> None:
    for run in runs:
        console.stage(run, pair)
    corpus_chain.record(console.workspace, f"align-{pair}", runs)


def show(
    console: Console,
    pair: str,
    pairs: pl.DataFrame,
    cuts: decide.Cuts,
    drawn: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """Show a language pair's cut-offs, samples (of ``drawn``) and hint; give them as a record."""
    cut_rows = summary.cut_table(pairs)
    sample_rows = summary.samples(pairs if drawn is None else drawn)
    n_kept = int(pairs["kept"].sum())
    console.table(f"{pair}: {n_kept} pairs kept; what other cut-offs keep", CUT_COLUMNS, cut_rows)
    sample_columns = ("margin", "cosine", *pair.split("-"))
    console.table(f"{pair}: a pair of each tenth, worst first", sample_columns, sample_rows)
    line = summary.unknown_rate(pairs, cuts) or summary.hint(pairs, cuts)
    if line:
        console.say(f"{pair}: {line}")
    return {
        "langs": pair,
        "n_kept": n_kept,
        "cuts": asdict(cuts),
        "cut_offs": [dict(zip(CUT_NAMES, row, strict=True)) for row in cut_rows],
        "hint": line,
    }
