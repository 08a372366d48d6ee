"""Sentence pairs of others come in, and go out as TMX and Moses, to the last character."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
import tracemalloc
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from align.cli import main as align
from corpus import formats, pairs, reserved, rows, stages, tmx
from corpus.bitext import Source, import_pairs
from corpus.cli import main as corpus
from corpus.errors import InputError, LanguageError
from corpus.ledger import steps
from corpus.pairs import IMPORT, MATCH_SENTENCES, sentence_pairs
from corpus.sample.documents import load_documents
from corpus.stages import Made, Part
from corpus.tables import REJECTS, SENTENCE_PAIRS, pair_id, text_key
from corpus.workspace import Workspace
from distill.data import hold_out

DTD = Path(__file__).with_name("tmx14.dtd")
PAIRS = [("Moien  Welt ", "Hello 'world'"), ("Zwee & dräi", 'Two "and" <three>')]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace", "you@example.org")


def written(path: Path, data: str | bytes) -> Path:
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def texts(
    workspace: Workspace, langs: str = "lb-en", *, kept: bool = True
) -> list[tuple[str, str]]:
    found = sentence_pairs(workspace, langs).filter(kept=kept)
    return sorted(found.select("src_text", "tgt_text").rows())


def rejected(workspace: Workspace, langs: str = "lb-en") -> list[str]:
    found = stages.scan(IMPORT, workspace.pair_stage(langs, IMPORT.name), REJECTS)
    return found.sort(pl.col("id").str.extract(r"(\d+)$").cast(int))["reason"].to_list()


def unit(*sides: tuple[str, str], props: str = "") -> str:
    said = "".join(f'<tuv xml:lang="{lang}"><seg>{text}</seg></tuv>' for lang, text in sides)
    return f"<tu>{props}{said}</tu>"


def as_tmx(*units: str, head: str = "") -> str:
    return f'<?xml version="1.0"?>\n{head}<tmx version="1.4"><body>{"".join(units)}</body></tmx>'


# In


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    "name", ["a.lb-en.tsv", "head.tsv", "a.csv", "a.jsonl", "hub.jsonl", "a.tmx", "a.lb"]
)
def test_every_form_gives_the_same_pairs(
    workspace: Workspace, tmp_path: Path, name: str, packed: str
) -> None:
    frame = pl.DataFrame(PAIRS, schema=["lb", "en"], orient="row")
    paths = [tmp_path / (name + packed)]
    lines = ["".join(f"{side}\n" for side in frame[lang]) for lang in frame.columns]
    if name == "a.tmx":
        escaped = [[("LB", formats_escape(a)), ("en-GB", formats_escape(b))] for a, b in PAIRS]
        data = as_tmx(*(unit(*sides) for sides in escaped))
    elif name == "a.lb":
        data = lines[0]
        paths.insert(0, written(tmp_path / f"a.en{packed}", lines[1]))  # the endings tell
    elif name.endswith(".tsv"):
        data = frame.write_csv(separator="\t", quote_style="never", include_header=name[0] == "h")
    elif name == "hub.jsonl":
        data = "".join(json.dumps({"translation": row}) + "\n" for row in frame.to_dicts())
    else:
        data = frame.write_csv() if name == "a.csv" else frame.write_ndjson()
    written(tmp_path / (name + packed), data)
    source = Source(paths, "lb-en", origin="mine", licence="CC0-1.0")
    run = import_pairs(workspace, source)
    assert run.counts == {"kept": 2, "pairs": 2, "rows": 2}
    assert texts(workspace) == sorted(PAIRS)
    found = sentence_pairs(workspace, "lb-en")
    assert found.select("origin", "licence", "method").unique().rows() == [
        ("mine", "CC0-1.0", "import")
    ]
    keys = [pair_id("lb-en", [text_key(a)], [text_key(b)]) for a, b in PAIRS]
    assert found["pair_id"].to_list() == sorted(keys)
    assert not import_pairs(workspace, source).changed


def formats_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def test_what_a_file_says_of_a_pair_goes_before_what_the_command_says(
    workspace: Workspace, tmp_path: Path
) -> None:
    said = [
        {
            "l": "Eent",
            "r": "One",
            "licence": "CC-BY-4.0",
            "from": "a\nb",
            "margin": 1.5,
            "sim": "x",
        },
        {"l": "Two", "r": "Zwee", "langs": "en-lb", "kept": False, "reason": "margin"},
        {"l": "Trois", "r": "Three", "langs": "fr-en"},
        {"l": "Véier", "r": "Four", "margin": float("inf"), "kept": "false"},
    ]
    path = written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in said))
    columns = {"src": "l", "tgt": "r", "origin": "from"}
    import_pairs(workspace, Source([path], "lb-en", columns, "site", "unknown"))
    found = sentence_pairs(workspace, "lb-en").sort("src_text")
    columns_seen = ("src_text", "origin", "licence", "margin", "sim", "kept", "reason")
    assert found.select(columns_seen).rows() == [
        ("Eent", "a b", "CC-BY-4.0", 1.5, None, True, None),
        ("Véier", "site", "unknown", None, None, False, "not_kept"),
        ("Zwee", "site", "unknown", None, None, False, "margin"),
    ]
    assert rejected(workspace) == ["other_languages"]


def test_a_tmx_of_many_languages_gives_the_pair_that_was_named(
    workspace: Workspace, tmp_path: Path
) -> None:
    units = [
        unit(("fr", "Un"), ("lb-LU", "Eent"), ("lb", "Eent!"), ("en", "One"),
             props='<prop type="licence">CC0-1.0</prop><prop type="x">y</prop>'),
        unit(("fr", "Deux"), ("en", "Two")),
        unit(("fr", "Trois"), ("en", "Three")),
        "<!-- " + unit(("lb", "Neen"), ("en", "No")) + " -->",
        unit(("lb", 'A<bpt i="1">&lt;b></bpt> <hi>fe<ph/>tt</hi>&#33;<ept i="1"/> z'), ("en", "A")),
    ]  # fmt: skip
    path = written(tmp_path / "a.tmx", as_tmx(*units).encode("utf-16"))
    run = import_pairs(workspace, Source([path], "lb-en"))
    assert run.counts["rejects.other_languages"] == 2
    assert texts(workspace) == [("A fett! z", "A"), ("Eent", "One")]
    assert sentence_pairs(workspace, "lb-en").filter(src_text="Eent")["licence"].item() == "CC0-1.0"


def test_languages_come_from_names_and_keep_the_workspace_s_order(
    workspace: Workspace, tmp_path: Path
) -> None:
    import_pairs(workspace, Source([written(tmp_path / "x.lb-en.tsv", "Eent\tOne\n")]))
    import_pairs(workspace, Source([written(tmp_path / "en-lb.tsv", "Two\tZwee\n")]))
    assert texts(workspace) == [("Eent", "One"), ("Zwee", "Two")]
    assert pairs.language_pairs(workspace, ["LB-en"]) == ["lb-en"]
    assert pairs.aligned_pairs(workspace) == []
    with pytest.raises(LanguageError, match="no pairs of fr-en; this workspace has lb-en"):
        pairs.language_pairs(workspace, ["fr-en"])


@pytest.mark.parametrize(
    ("files", "source", "says"),
    [
        ({"a.tsv": "x\ty\n"}, {}, "does not name its languages: give --lang lb-en"),
        ({"a.doc": "x\ty\n"}, {"langs": "lb-en"}, "'doc'.*allowed: csv, .*tmx.*two files of lines"),
        ({"a.lb": "x\n", "a.en": "y\nz\n"}, {}, "a.lb has 1 lines, the other file more"),
        ({"a.tsv": "x\ty\n"}, {"columns": {"source": "x"}}, "unknown field 'source'"),
        ({"a.tsv": "a\tb\n1\t2\n"}, {"langs": "lb-en", "columns": {"src": "a", "tgt": "c"}},
         "no column 'c'; the file has a, b; .*--columns src=lb,tgt=en"),
        ({"a.jsonl": '{"a": "x"}\n'}, {"langs": "lb-en"}, "'other_languages' .a.; name what it"),
        ({"a.tmx": "<tmx><body/></tmx>"}, {"langs": "lb-en"}, "no rows"),
        ({"a.tmx": '<?xml version="1.0" encoding="punycode"?><tmx/>'}, {"langs": "lb-en"},
         "encoding 'punycode' is not read"),
        ({"lb-en.tsv": "x\n"}, {}, "1 of 1 rows are rejected for 'bad_row'"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_clear_error(
    workspace: Workspace, tmp_path: Path, files: dict[str, str], source: dict, says: str
) -> None:
    paths = [written(tmp_path / name, data) for name, data in files.items()]
    with pytest.raises(InputError, match=says):
        import_pairs(workspace, Source(paths, **source))
    assert not list(workspace.pairs.rglob("*.parquet"))


# Hostile files: what can be read is, the rest is a reject, and memory is bounded.

LOL = '<!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "/etc/passwd">]>'


@pytest.mark.parametrize(
    ("name", "data", "reasons"),
    [
        ("a.tmx", as_tmx(unit(("lb", "&b;"), ("en", "x")), unit(("lb", "&c;"), ("en", "y")),
                         head=LOL), ["bad_xml", "bad_xml"]),
        ("a.tmx", as_tmx(unit(("lb", "\0"), ("en", "x")), unit(("lb", "&#xD800;"), ("en", "y")),
                         "<tu><tuv></tu>", "<tu>" * 9), ["bad_xml"] * 3 + ["bad_xml"]),
        ("a.tmx", as_tmx(unit(("lb", "a\xff"), ("en", "x"))).encode("latin-1"), ["bad_encoding"]),
        ("a.tsv", b"\xed\xa0\x80\tx\nno tab\n\ta\n \tb\n",
         ["bad_encoding", "bad_row", "empty", "empty"]),
        ("a.jsonl", b'{"lb": "\\ud800", "en": "x"}\n{"lb": NaN', ["bad_encoding", "bad_row"]),
        ("a.tsv", b"x" * (rows.MAX_ROW + 1) + b"\n", ["too_large"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_reject(
    workspace: Workspace, tmp_path: Path, name: str, data: str | bytes, reasons: list[str]
) -> None:
    good = [(f"Eent {n}", f"One {n}") for n in range(9)]
    plain = {
        "a.tmx": "".join(unit(("lb", a), ("en", b)) for a, b in good),
        "a.tsv": "".join(f"{a}\t{b}\n" for a, b in good),
        "a.jsonl": "".join(json.dumps({"lb": a, "en": b}) + "\n" for a, b in good),
    }[name].encode()
    data = data.encode() if isinstance(data, str) else data
    cut = data.index(b"<tu>") if name == "a.tmx" else 0
    whole = data[:cut] + plain + data[cut:]
    import_pairs(workspace, Source([written(tmp_path / name, whole)], "lb-en"))
    assert texts(workspace) == sorted(good)
    assert rejected(workspace) == reasons


@pytest.mark.parametrize("name", ["a.tsv.gz", "a.tmx.gz", "a.jsonl.gz", "a.csv.gz"])
def test_a_gzip_file_that_ends_early_gives_what_it_has(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    lines = {
        "a.tsv.gz": lambda n: f"Eent {n * 7919}\tOne {n}\n",
        "a.csv.gz": lambda n: f"Eent {n * 7919},One {n}\n",
        "a.tmx.gz": lambda n: unit(("lb", f"Eent {n * 7919}"), ("en", f"One {n}")),
        "a.jsonl.gz": lambda n: json.dumps({"lb": f"Eent {n * 7919}", "en": f"One {n}"}) + "\n",
    }[name]
    head = "lb,en\n" if name == "a.csv.gz" else ""
    whole = gzip.compress((head + "".join(map(lines, range(20_000)))).encode())
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) // 2])
    run = import_pairs(workspace, Source([path], "lb-en"))
    assert run.counts["rejects.damaged_gzip"] == 1
    assert 5_000 < run.counts["pairs"] == run.counts["rows"] - 1
    sides = [tmp_path / "b.lb.gz", written(tmp_path / "b.en", "One\n" * 9)]
    sides[0].write_bytes(gzip.compress(b"Eent\n" * 9)[:-9])
    assert import_pairs(workspace, Source(sides)).counts["rejects.damaged_gzip"] == 1


@pytest.mark.parametrize("name", ["a.tsv.gz", "a.tmx.gz", "a.jsonl.gz", "a.csv.gz"])
def test_a_bomb_and_a_line_without_end_cost_little_memory(
    workspace: Workspace, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SAFE", 20_000_000)
    path = tmp_path / name
    with gzip.open(path, "wb") as file:
        file.write(b"lb,en\n" if name == "a.csv.gz" else b"<tu>")
        for _ in range(64):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"rejected for '(gzip_bomb|too_large)'|no rows"):
        import_pairs(workspace, Source([path], "lb-en"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000
    found = list(rows.read_pieces(path))
    assert found[-1].split()[:2] == ["gzip_bomb", str(20_000_000 // 65_536 * 65_536 + 65_536)]


# Out

ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(str.strip)
IN_XML = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


def held(text: str, form: str) -> bool:
    """Say what XML 1.0 and a line hold."""
    if form == "tmx":
        return bool(IN_XML.fullmatch(text))
    return "\n" not in text and "\r" not in text and text[0] != "\ufeff"


def with_pairs(workspace: Workspace, langs: str, found: list[tuple[str, str]]) -> None:
    """Store pairs as `align sentences` does."""
    keyed = {pair_id(langs, [text_key(a)], [text_key(b)]): (a, b) for a, b in found}
    frame = SENTENCE_PAIRS.frame(
        {"pair_id": key, "src_text": a, "tgt_text": b, "langs": langs, "kept": True}
        | {"origin": "site & co", "licence": "CC-BY-4.0", "method": "margin"}
        for key, (a, b) in keyed.items()
    )
    made = Made({"sentence_pairs": frame})
    folder = workspace.pair_stage(langs, MATCH_SENTENCES.name)
    stages.run(MATCH_SENTENCES, folder, [Part("all", None, None)], lambda _: made)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(ANY, ANY), min_size=1, max_size=6), st.sampled_from(["tmx", "moses"]))
def test_round_trips_keep_every_character_that_the_form_holds(
    found: list[tuple[str, str]], form: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = Workspace.create(Path(folder) / "1", "you@example.org")
        with_pairs(first, "lb-en", found)
        found = texts(first)
        out = Path(folder) / "out.tmx"
        files = formats.export(first, "pairs", out, form)
        good = [pair for pair in found if all(held(text, form) for text in pair)]
        *sides, last = files
        if len(good) < len(found):
            assert files[last] == len(found) - len(good)
            reasons = pl.read_csv(last, separator="\t", quote_char=None)["reason"].unique()
            assert set(reasons) <= {"not_in_xml", "line_break", "byte_order_mark"}
        else:
            sides.append(last)
        assert {files[side] for side in sides} <= {len(good)}
        if good:
            second = Workspace.create(Path(folder) / "2", "you@example.org")
            import_pairs(second, Source(sides, "lb-en"))
            assert texts(second) == good
            if form == "tmx":
                assert etree.DTD(str(DTD)).validate(etree.parse(out))


def test_translate_toolkit_reads_our_tmx(workspace: Workspace, tmp_path: Path) -> None:
    tmxfile = pytest.importorskip("translate.storage.tmx").tmxfile

    inner = [("a  b", " <i>&amp;\u00a0„x“"), ("\u0995\u09cd\u09b7", "tab\there\nand \U0001f600")]
    with_pairs(workspace, "lb-en", [*inner, ("bad\x07", "x")])
    out = tmp_path / "out.tmx"
    assert formats.export(workspace, "pairs", out) == {out: 2, tmp_path / "out.tmx.rejects.tsv": 1}
    with out.open("rb") as file:
        read = tmxfile(file, "lb", "en")
    assert sorted((u.source, u.target) for u in read.units) == sorted(inner)
    assert b'srclang="lb"' in out.read_bytes()
    with_pairs(workspace, "fr-en", inner)
    formats.export(workspace, "pairs", out)
    assert b'srclang="*all*"' in out.read_bytes()
    assert etree.DTD(str(DTD)).validate(etree.parse(out))
    with pytest.raises(InputError, match="tmx holds sentence pairs, not articles"):
        formats.export(workspace, "articles", out)


# What follows


def test_equal_pairs_are_kept_once_and_the_reserved_never(
    workspace: Workspace, tmp_path: Path
) -> None:
    secret = "The ministry has not yet said when the bridge will open."
    reserved.reserve(workspace, [secret])
    with_pairs(workspace, "lb-en", [("Eent", "One")])
    lines = ["Eent\tOne", "Zwee\tTwo", "Zwee\tTwo", f"Wéini geet d'Bréck op\t{secret.upper()}"]
    import_pairs(workspace, Source([written(tmp_path / "lb-en.tsv", "\n".join(lines))]))
    found = sentence_pairs(workspace, "lb-en")
    assert texts(workspace) == [("Eent", "One"), ("Zwee", "Two")]
    assert sorted(found["reason"].drop_nulls()) == ["duplicate", "duplicate", "reserved"]
    assert found.filter("kept", src_text="Eent")["method"].item() == "margin"
    out = tmp_path / "out.jsonl"
    assert formats.export(workspace, "pairs", out) == {out: 2}
    assert all(row.balanced for step in steps(workspace) for row in step.items)


@pytest.mark.slow
def test_imported_pairs_are_scored_trained_on_and_published(tmp_path: Path) -> None:
    def run(group: object, *words: object) -> dict:
        done = CliRunner().invoke(group, [*map(str, words), "--json"])  # type: ignore[arg-type]
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    from distill.cli import main as distill

    root = tmp_path / "workspace"
    run(corpus, "init", "--contact", "you@example.org", "-w", root)
    stories = [d.lines for d in load_documents() if {"lb", "en"} <= d.lines.keys()]
    lines = [(d["lb"][n], d["en"][n]) for d in stories for n in d["lb"].keys() & d["en"].keys()]
    made = [pair for pair in sorted(lines) if all(50 < len(text) < 150 for text in pair)][:200]
    memory = as_tmx(*(unit(("lb", a), ("en", b)) for a, b in [*made, ("Jo", "Jo Jo Jo " * 20)]))
    path = written(tmp_path / "mine.tmx.gz", memory)
    scores = tmp_path / "scored.tsv"
    record = run(align, "score", path, "--pair", "lb-en", "--out", scores, "--margin", 0)
    assert record["fates"] == {"kept": 200, "length_ratio": 1}
    counts = run(corpus, "import", "--pairs", scores, "--lang", "lb-en", "--site", "mine",
                 "--licence", "CC-BY-4.0", "-w", root)  # fmt: skip
    assert counts == {"kept": 200, "pairs": 201, "rows": 201}
    trained = run(distill, "run", "--no-reserved", "-w", root)
    assert (
        trained["n_read"] == sum(~hold_out(sentence_pairs(Workspace.open(root), "lb-en"), 0.1)) - 1
    )
    run(corpus, "publish", "org/mine", "--dry-run", "-w", root)
    card = (Workspace.open(root).release("org/mine") / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0" in card
    assert "| mine | 200 | CC-BY-4.0 |" in card
    assert tmx.PROPS == ("origin", "licence")
