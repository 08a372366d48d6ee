"""What the commands run: each stage after its inputs, and what they print."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from align import articles as article_stage
from align import decide, summary
from align import sentences as sentence_stage
from align.encoders import check_languages, load_encoder
from corpus import chain as corpus_chain
from corpus.pairs import sentence_pairs

if TYPE_CHECKING:
    from align.encoders import Encoder
    from corpus.console import Console
    from corpus.stages import StageRun


@dataclass(frozen=True, slots=True)
class Options:
    """The options that both stages take."""

    pairs: tuple[str, ...] = ()
    encoder: str = "embedded"
    lexical: float | None = None
    window: int = 2
    any_language: bool = False
    only: bool = False
    dry_run: bool = False


def articles(console: Console, options: Options) -> None:
    """Bring the article pairs up to date, and tell what became of the articles."""
    if not options.only:
        corpus_chain.text(console, dry=options.dry_run)
    langs = corpus_chain.language_pairs(console.workspace, options.pairs)
    runs = _articles(console, langs, options)
    rows = [
        [pair, run.counts.get("pairs", 0)]
        + [run.counts.get(f"{side}.{state}", 0) for side in ("src", "tgt") for state in STATES]
        for pair, run in zip(langs, runs, strict=True)
    ]
    columns = ["languages", "pairs", *(f"{s} {state}" for s in ("src", "tgt") for state in STATES)]
    console.table("Article pairs, and every other article", columns, rows)
    console.emit([dict(zip(columns, row, strict=True)) for row in rows])


STATES = ("paired", "below_floor", "none_in_window", "undated")


def sentences(console: Console, options: Options, cuts: decide.Cuts) -> None:
    """Bring the sentence pairs up to date, and show cut-offs and samples."""
    workspace = console.workspace
    if not options.only:
        corpus_chain.text(console, dry=options.dry_run)
    langs = corpus_chain.language_pairs(workspace, options.pairs)
    if not options.only:
        _articles(console, langs, _article_options(console, options))
    encoder = _encoder(langs, options)
    results = []
    for pair in langs:
        with console.progress(f"sentences {pair}") as progress:
            runs = sentence_stage.update(
                workspace,
                pair,
                encoder,
                cuts,
                window=options.window,
                lexical=options.lexical,
                progress=progress,
                dry=options.dry_run,
            )
        _tell(console, pair, runs)
        if not options.dry_run:
            results.append(_show(console, pair, cuts))
    console.emit(results)


def _articles(console: Console, langs: list[str], options: Options) -> list[StageRun]:
    encoder = _encoder(langs, options)
    settings = article_stage.Settings(window=options.window, lexical=options.lexical)
    folds = []
    for pair in langs:
        with console.progress(f"articles {pair}") as progress:
            runs = article_stage.update(
                console.workspace, pair, encoder, settings, progress=progress, dry=options.dry_run
            )
        _tell(console, pair, runs)
        folds.append(runs[-1])
    return folds


def _article_options(console: Console, options: Options) -> Options:
    """Take the article stage's options from the workspace's file: they are its own."""
    own = dict(console.workspace.defaults.get("align", {}).get("articles", {}))
    own["pairs"] = tuple(own.get("pairs", ()))
    return Options(**{"any_language": options.any_language, **own, "dry_run": options.dry_run})


def _encoder(langs: list[str], options: Options) -> Encoder:
    encoder = load_encoder(options.encoder)
    wanted = sorted({lang for pair in langs for lang in pair.split("-")})
    check_languages(encoder, wanted, any_language=options.any_language)
    return encoder


def _tell(console: Console, pair: str, runs: list[StageRun]) -> None:
    for run in runs:
        console.stage(run, pair)
    corpus_chain.record(console.workspace, f"align-{pair}", runs)


def _show(console: Console, pair: str, cuts: decide.Cuts) -> dict[str, Any]:
    """Show one language pair's cut-offs, samples and hint; give them as a record."""
    pairs = sentence_pairs(console.workspace, pair)
    cut_rows, sample_rows = summary.cut_table(pairs), summary.samples(pairs)
    n_kept = int(pairs["kept"].sum())
    cut_columns = ("margin ≥", "or cosine ≥", "pairs", "est. precision")
    console.table(f"{pair}: {n_kept} pairs kept; what other cut-offs keep", cut_columns, cut_rows)
    sample_columns = ("margin", "cosine", *pair.split("-", 1))
    console.table(f"{pair}: a pair of each tenth, worst first", sample_columns, sample_rows)
    line = summary.hint(pairs, cuts)
    if line:
        console.say(f"{pair}: {line}")
    return {
        "langs": pair,
        "kept": n_kept,
        "cuts": asdict(cuts),
        "cut_offs": [dict(zip(cut_columns, row, strict=True)) for row in cut_rows],
        "hint": line,
    }
