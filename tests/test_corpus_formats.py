from __future__ import annotations

import json
import tempfile
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import dedup, extract, formats, importing, segment, stages
from corpus.errors import EmptyError, InputError, LanguageError, StorageError
from corpus.importing import Source, import_articles, paragraphs
from corpus.pairs import MATCH_SENTENCES
from corpus.rows import MAX_ROW
from corpus.stages import Made, Part
from corpus.tables import ARTICLES, REJECTS, SENTENCE_PAIRS, article_id
from corpus.workspace import Workspace

TEXT = "The bridge is open.\n\nAll came to see it."
ROW = {
    "url": "https://a.example/1?utm_source=x",
    "lang": "en",
    "date": "2026-05-30",
    "title": "The bridge",
    "text": TEXT,
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace", "you@example.org")


def jsonl(folder: Path, *rows: object, name: str = "news.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def imported(workspace: Workspace) -> pl.DataFrame:
    return stages.scan(importing.STAGE, workspace.imported, ARTICLES)


def rejected(workspace: Workspace) -> dict[str, str]:
    rejects = stages.scan(importing.STAGE, workspace.imported, REJECTS)
    return dict(rejects.select("id", "reason").rows())


# In


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_every_format_gives_the_same_article(
    workspace: Workspace, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"news{suffix}"
    row = {**ROW, "text": "One line."} if suffix == ".tsv" else ROW
    frame = pl.DataFrame([row])
    if suffix == ".csv":
        frame.write_csv(path)
    elif suffix == ".tsv":
        frame.write_csv(path, separator="\t", quote_style="never")
    elif suffix == ".parquet":
        frame.with_columns(pl.col("date").str.to_date()).write_parquet(path)
    else:
        jsonl(tmp_path, row)
    run = import_articles(workspace, Source(path, site="mine", licence="CC0-1.0"))
    assert run.counts == {"rows": 1, "articles": 1}
    [article] = imported(workspace).to_dicts()
    assert article["url"] == "https://a.example/1"
    assert article["article_id"] == article_id("https://a.example/1")
    assert (article["title"], article["text"]) == ("The bridge", row["text"])
    assert article["published"] == datetime(2026, 5, 30, tzinfo=UTC)
    assert (article["lang"], article["site"], article["licence"]) == ("en", "mine", "CC0-1.0")


def test_columns_have_other_names_and_defaults(workspace: Workspace, tmp_path: Path) -> None:
    path = jsonl(
        tmp_path, {"nr": 7, "body": "Eent.\nZwee.", "published": "2026-05-30T23:00:00-02:00"}
    )
    import_articles(workspace, Source(path, {"text": "body", "id": "nr"}, site="s", lang="lb"))
    [article] = imported(workspace).to_dicts()
    assert (article["url"], article["lang"]) == ("s:7", "lb")
    assert article["text"] == "Eent.\n\nZwee."
    assert article["published"] == datetime(2026, 5, 31, 1, tzinfo=UTC)


def test_a_language_that_is_not_told_is_identified(workspace: Workspace, tmp_path: Path) -> None:
    text = "D'Gemeng huet gëschter decidéiert, datt d'Bréck nei gebaut gëtt."
    import_articles(workspace, Source(jsonl(tmp_path, {"id": "x", "text": text})))
    [article] = imported(workspace).to_dicts()
    assert article["lang"] == "lb"
    assert article["lang_prob"] > 0.5


def test_bad_rows_are_rejects_with_their_reason(workspace: Workspace, tmp_path: Path) -> None:
    good = [{**ROW, "url": f"https://a.example/{n}"} for n in range(9)]
    bad: list[Any] = [
        {**ROW, "text": " \n"},
        {**ROW, "url": ""},
        {**ROW, "url": "http://["},
        {**ROW, "lang": "klingonish"},
        {**ROW, "date": "the other day"},
        {**ROW, "text": "torn \ufffd text"},
        [1, 2],
    ]
    path = jsonl(tmp_path, *good, *bad)
    with path.open("ab") as file:
        file.write(b"{not json\n" + b"[" * 99_999 + b"\n" + b"x" * (MAX_ROW + 9) + b"\n\n")
        file.write(json.dumps({**ROW, "url": "https://a.example/10"}).encode())
    run = import_articles(workspace, Source(path))
    assert run.counts["rows"] == 20
    assert run.counts["articles"] == 10
    assert list(dict(sorted(rejected(workspace).items())).values()) == [
        "no_text", "no_url_or_id", "no_url_or_id", "unknown_language", "bad_date",
        "bad_encoding", "bad_row", "bad_row", "bad_row", "too_large",
    ]  # fmt: skip
    assert sum(n for name, n in run.counts.items() if name.startswith("rejects.")) == 10


def test_torn_csv_rows_cost_themselves(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    lines = [
        "id,lang,text",
        "1,en,One",
        "2,en",
        '3,en,"A ""quoted""\n\nsecond"',
        "4,en,x,y",
        "5,en,Five",
    ]
    path.write_bytes("\ufeff".encode() + "\r\n".join(lines).encode() + b"\r\n6,en,\xff\xfe\r\n")
    import_articles(workspace, Source(path))
    texts = dict(imported(workspace).select("url", "text").rows())
    assert texts == {"import:1": "One", "import:3": 'A "quoted"\n\nsecond', "import:5": "Five"}
    assert rejected(workspace) == {
        "news.csv@2": "bad_row", "news.csv@4": "bad_row", "news.csv@6": "bad_encoding",
    }  # fmt: skip


def test_the_same_file_does_nothing_and_a_killed_import_goes_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BLOCK", 3)
    path = jsonl(tmp_path, *({**ROW, "url": f"https://a.example/{n}"} for n in range(8)))
    assert import_articles(workspace, Source(path)).n_made == 3
    whole = imported(workspace)
    assert whole.height == 8
    assert not import_articles(workspace, Source(path)).changed
    [folder] = workspace.imported.iterdir()
    (folder / "00001.json").unlink()
    assert import_articles(workspace, Source(path)).n_made == 1
    assert imported(workspace).equals(whole)
    assert import_articles(workspace, Source(path, licence="CC0-1.0"), dry=True).n_made == 3
    other = jsonl(tmp_path, {**ROW, "title": "Another"}, name="other.jsonl")
    import_articles(workspace, Source(other))
    assert imported(workspace).height == 9


def test_what_is_refused_leaves_nothing_and_takes_nothing_away(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = jsonl(tmp_path, *({"id": n, "body": "x", "day": "31 Mee"} for n in (1, 2)))
    good = {"text": "body"}
    assert import_articles(workspace, Source(path, good)).counts["articles"] == 2
    before = imported(workspace)
    for columns, says in (
        ({"text": "bodi"}, "no column 'bodi'; the file has id, body, day; .*--columns text=body"),
        ({}, "no column 'text'"),
        (good | {"date": "day"}, r"2 of 2 rows are rejected for 'bad_date' \(31 Mee\); write"),
    ):
        with pytest.raises(InputError, match=says):
            import_articles(workspace, Source(path, columns))
        assert imported(workspace).equals(before)
        assert len(list(workspace.imported.iterdir())) == 1
    run = import_articles(workspace, Source(path, good | {"title": "day"}))
    assert (run.n_made, run.n_removed) == (1, 1)
    assert imported(workspace)["title"].to_list() == ["31 Mee", "31 Mee"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"", "no rows"),
        ("a.csv", b"id,text\n", "no rows"),
        ("a.csv", b"id;text\n1;Moien, Welt\n", "split by ';'"),
        ("a.tsv", b"id,text\n1,Moien\n", "split by ','"),
        ("a.csv", b"id,text\n1,gr\xe9iss\n", "'bad_encoding'; the file is not UTF-8"),
        ("a.jsonl", b'{"id": 1, "text": "gr\xe9iss"}\n', "'bad_encoding' .no UTF-8.; the file"),
    ],
)
def test_a_file_of_another_make_is_told(
    workspace: Workspace, tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=says):
        import_articles(workspace, Source(tmp_path / name))


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (Source(Path("a.xls")), InputError, ".jsonl"),
        (Source(Path("nowhere.csv")), InputError, "no file"),
        (Source(Path("a.csv"), {"body": "text"}), InputError, "allowed: .*text"),
        (Source(Path("a.csv"), lang="xx"), LanguageError, "xx"),
    ],
)
def test_wrong_input_is_one_clear_error(
    workspace: Workspace, source: Source, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        import_articles(workspace, source)


def test_a_broken_parquet_file_is_one_clear_error(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 or not")
    with pytest.raises(InputError, match="cannot read"):
        import_articles(workspace, Source(path))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BLOCK", 100)
    rows = ({**ROW, "url": f"https://a.example/{n}", "text": "word " * 2_000} for n in range(1_500))
    path = jsonl(tmp_path, *rows)
    assert path.stat().st_size > 15_000_000
    tracemalloc.start()
    import_articles(workspace, Source(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\nb", "a\n\nb"),
        ("a\nb\n\nc", "a b\n\nc"),
        ("a\r\n \r\nb\r\n", "a\n\nb"),
        ("\n\na\n\n", "a"),
        ("a\x00b\u200b", "a b"),
    ],
)
def test_paragraphs(text: str, clean: str) -> None:
    assert paragraphs(text) == clean
    assert paragraphs(clean) == clean


# Out


def with_articles(workspace: Workspace, *rows: dict[str, Any]) -> None:
    frame = ARTICLES.frame({"lead": "", "lang": "lb", "title": "", **row} for row in rows)
    made = Made({"articles": frame, "rejects": REJECTS.empty()})
    stages.run(extract.STAGE, workspace.extracted, [Part("s/1", None, None)], lambda _: made)
    dedup.update(workspace)
    segment.update(workspace)


def with_pairs(workspace: Workspace, *rows: tuple[str, str, str, bool]) -> None:
    for langs in {row[2] for row in rows}:
        frame = SENTENCE_PAIRS.frame(
            {"pair_id": f"{n:016}", "src_text": src, "tgt_text": tgt, "langs": pair, "kept": kept,
             "src_ids": ["a.v.1", "a.v.2"], "sim": 0.5}
            for n, (src, tgt, pair, kept) in enumerate(rows) if pair == langs
        )  # fmt: skip
        folder = workspace.pair_stage(langs, MATCH_SENTENCES.name)
        made = Made({"sentence_pairs": frame})
        part = Part("2026-05", None, None)
        stages.run(MATCH_SENTENCES, folder, [part], lambda _, made=made: made)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), max_size=40)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=4),
       st.sampled_from(["jsonl", "parquet"]))  # fmt: skip
def test_articles_go_out_and_come_in_unchanged(
    stories: list[tuple[str, list[str]]], form: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = Workspace.create(Path(folder) / "1", "you@example.org")
        rows = [
            {"id": n, "lang": "lb", "title": title, "text": f"Story {n}\n\n" + "\n\n".join(text)}
            for n, (title, text) in enumerate(stories)
        ]
        import_articles(first, Source(jsonl(Path(folder), *rows)))
        dedup.update(first)
        out = Path(folder) / f"out.{form}"
        formats.export(first, "articles", out)
        second = Workspace.create(Path(folder) / "2", "you@example.org")
        import_articles(second, Source(out))
        dedup.update(second)
        told = ["version", "lang", "title", "lead", "text", "published"]
        before, after = dedup.kept_articles(first), dedup.kept_articles(second)
        assert after.sort("version").select(told).equals(before.sort("version").select(told))


def test_pairs_that_are_not_kept_stay_home(workspace: Workspace, tmp_path: Path) -> None:
    with_pairs(
        workspace, ("eent", "one", "lb-en", True), ("zwee", "ten", "lb-en", False),
        ("a\tb\nc\x00", "un", "lb-fr", True),
    )  # fmt: skip
    out = tmp_path / "pairs.tsv"
    assert formats.export(workspace, "pairs", out) == {out: 2}
    header, *lines = [line.split("\t") for line in out.read_text().split("\n")[:-1]]
    assert header == list(SENTENCE_PAIRS.columns)
    assert [line[3:5] for line in lines] == [["eent", "one"], ["a b c", "un"]]
    assert lines[0][1] == "a.v.1 a.v.2"
    assert formats.export(workspace, "pairs", out, langs=["lb-fr"]) == {out: 1}
    rows = tmp_path / "pairs.jsonl"
    formats.export(workspace, "pairs", rows)
    assert [json.loads(line)["src_text"] for line in rows.read_text().splitlines()] == [
        "eent", "a\tb\nc\x00",
    ]  # fmt: skip


def test_sentences_and_articles_by_language(workspace: Workspace, tmp_path: Path) -> None:
    when = datetime(2026, 5, 30, 8, tzinfo=UTC)
    with_articles(
        workspace,
        {"article_id": "a", "version": "v", "text": "Eent. Zwee.", "published": when},
        {"article_id": "b", "version": "w", "text": "Un.", "lang": "fr"},
        {"article_id": "b", "version": "o", "text": "Old.", "lang": "fr"},
    )
    out = tmp_path / "out.parquet"
    assert formats.export(workspace, "sentences", out) == {out: 3}
    assert formats.export(workspace, "articles", out, langs=["lb"]) == {out: 1}
    assert pl.read_parquet(out).equals(dedup.kept_articles(workspace).filter(lang="lb"))
    told = tmp_path / "out.jsonl"
    formats.export(workspace, "articles", told)
    assert json.loads(told.read_text().split("\n")[0])["published"].startswith(
        "2026-05-30T08:00:00"
    )
    formats.export(workspace, "sentences", told, langs=["fr"])
    assert len(json.loads(told.read_text())["text_key"]) == 32


def test_nothing_to_export_and_wrong_wishes_are_clear_errors(
    workspace: Workspace, tmp_path: Path
) -> None:
    for what, name, form in (("articles", "a.tsv", None), ("pairs", "a", "moses")):
        with pytest.raises(EmptyError, match=f"no {what}"):
            formats.export(workspace, what, tmp_path / name, form)
    with pytest.raises(InputError, match="allowed: articles, pairs, sentences"):
        formats.export(workspace, "words", tmp_path / "a.tsv")
    with pytest.raises(InputError, match="allowed: jsonl"):
        formats.export(workspace, "articles", tmp_path / "a.docx")
    with pytest.raises(InputError, match="moses holds"):
        formats.export(workspace, "articles", tmp_path / "a", "moses")
    with_pairs(workspace, ("eent", "one", "lb-en", True))
    with pytest.raises(StorageError):
        formats.export(workspace, "pairs", Path("/proc/nowhere/a.tsv"))
