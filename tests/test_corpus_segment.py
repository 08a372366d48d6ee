from __future__ import annotations

import csv
import re
import time
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import dedup, extract, segment, stages
from corpus.stages import Made, Part
from corpus.tables import ARTICLES, REJECTS, SENTENCES, text_key
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKS = sorted(f.name[:-5] for f in files("corpus").joinpath("packs").iterdir())

# Hard cases, a line each; | is where a sentence ends inside the line.
CASES = {
    "lb": """
        Um 3. Mee war d'Schueberfouer nach zou.| Um 4. ass se opgaangen.
        Am 19. Joerhonnert huet hei keen eng Bréck gebaut.
        De Jean I. vu Lëtzebuerg war blann.| De Karel IV. war säi Jong.
        D'Mme. Weber an den Dr. Muller waren do.| D'Leit och.
        Si hu Kéis, Wäin asw. matbruecht.| Dat huet gereecht.
        Hie seet: "Ech kommen net."| Duerno ass hien dach komm.
        „Firwat net?“, freet hatt.| „Ma well et reent!“
        Et kascht 3.500,50 Euro, z.B. fir zwee.| Den Zuch fiert um 18.30 Auer.
        D'Spill endet 3:1.| D'Publikum war frou.
        Kuckt op www.example.lu/a.b no.| Do steet alles.
        Wat elo ...| Mir wëssen et net.
        Hie wunnt an der Nr. 12.| D'Haus ass rout.
        Hien huet den Träin verpasst!| Firwat?| Keen weess et.
    """,
    "fr": """
        M. Dupont et Mme Weber sont venus.| Ils sont repartis à 18 h 30.
        « Je viens. »| Il a raccroché.
        « Tu viens ? » demanda-t-elle.| « Non ! »
        Le pont coûte 3.500.000 euros, etc.| La commune paie.
        L'art. 5 de la loi de 2018 le dit.| C'est clair.
        J.-P. Martin et le Dr. Klein étaient là.| L’État aussi.
        En 50 av. J.-C. César est passé par là.| Il est reparti.
        Il hésite... puis il part.| Enfin !
        Le XIXe siècle commence : tout change ; rien ne dure.| On le sait.
        Elle (qui l'eût cru ?) a gagné.| Bravo.
    """,
    "en": """
        Mr. Smith met Dr. J. K. Jones at 5 p.m. on Friday.| They talked.
        He moved to the U.S. in 2010.| She stayed in the U.K.| It was hard.
        "Is it true?" he asked.| "Yes." |She left.
        The firm, Acme Inc., grew by 3.5 per cent.| It employs 40 people.
        On Oct. 2, 1968, he was born.| See No. 5, vol. 2, p. 7 and Fig. 3.
        He likes tea, coffee, etc.| But not milk.
        It is 5:30; go home: now.| Really?!| Yes...
        Visit https://example.org/a.b?c=D.E today.| Write to a.b@example.org.
        Gen. Brown said: "Go."| (He meant it.)| They went.
        St. Mary's is old.| Prof. Lee, Ph.D., knows it.
    """,
    "de": """
        Am 3. Mai war alles zu.| Am 4. war es wieder offen.
        Im 19. Jahrhundert regierte Friedrich III. nur kurz.| Er war krank.
        Das Tor fiel in der 29. Minute.| Danach war Schluss.
        Dr. Weber und Prof. Klein kommen z.B. aus Trier.| Die anderen nicht.
        »Kommst du?«, fragte sie.| »Nein.«| Er blieb.
        „Ich gehe.“| Dann ging er.
        Es gab Brot, Käse usw.| Alle wurden satt.
        Das kostet 3.500,50 Euro.| Der Bus fährt um 18.30 Uhr.
        Vgl. Art. 5 Abs. 2 GG.| Das reicht.
        Ende 2018. |Das Jahr war um.
    """,
    "bn": """
        তিনি আজ এসেছেন।| কাল চলে যাবেন।|তারপর ফিরবেন?| হ্যাঁ!
        ড. ইউনূস ও মো. রহিম এসেছিলেন।| সবাই খুশি।
        এ. কে. ফজলুল হক ও জে. এম. সেন বন্ধু ছিলেন।| তা সবাই জানে।
        "আমি যাব।"| তিনি বললেন।
        দাম ৩.৫ শতাংশ বেড়েছে।| ১২ জন আহত হয়েছেন॥| শেষ।
        বৈঠক হয়েছে: ফল আসেনি; আবার হবে।| কবে?
        ‘আর নয়।’| এই কথা শুনে সবাই চুপ।
        তালিকায় আছে www.example.org/a.b নামের সাইট।| দেখুন।
    """,
    "default": """
        Þetta er setning.| Önnur kemur hér.
        Dr. Anna kom.| Hún fór.
    """,
}


@pytest.mark.parametrize(
    ("lang", "line"),
    [(lang, line.strip()) for lang, text in CASES.items() for line in text.strip().split("\n")],
)
def test_hard_cases(lang: str, line: str) -> None:
    sentences = [piece.strip() for piece in line.split("|")]
    assert segment.segment(" ".join(sentences), lang) == sentences


def test_a_danda_needs_no_space() -> None:
    assert segment.segment("সে এল।আমি গেলাম।", "bn") == ["সে এল।", "আমি গেলাম।"]


def test_every_pack_has_hard_cases_and_words_that_can_match() -> None:
    assert set(PACKS) == set(CASES)
    for name in PACKS:
        pack = segment.load_pack(name)
        for word in pack.abbreviations | pack.may_end:
            assert word == word.casefold().rstrip("."), (name, word)
        assert not pack.abbreviations & pack.may_end, name
        assert all(word[0] == "'" or not word[0].islower() for word in pack.starters), name


def test_the_default_pack_explains_every_key() -> None:
    text = files("corpus").joinpath("packs", "default.toml").read_text()
    assert set(tomllib.loads(text)) == set(segment.Pack.model_fields)
    assert segment.load_pack("pt-BR") == segment.load_pack("default")
    assert segment.load_pack("de-LU") == segment.load_pack("de")


@given(st.text(alphabet="aZé9 .!?…।\"»«„“)'’\n-দক", max_size=300), st.sampled_from(PACKS))
def test_no_character_is_lost_and_paragraphs_never_join(text: str, lang: str) -> None:
    sentences = segment.segment(text, lang)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(s == " ".join(s.split()) and s for s in sentences)
    twice = segment.segment(f"{text}\n\n{text}", lang)
    assert twice == sentences * 2


@pytest.mark.parametrize("unit", ["word, ", "word; and ", "word ", "w", "ক"])
def test_long_sentences_are_cut(unit: str) -> None:
    text = (unit * 2_000).strip()
    pieces = segment.segment(text, "en")
    assert max(map(len, pieces)) <= segment.MAX_CHARS
    assert min(map(len, pieces[:-1])) >= segment.MAX_CHARS // 2
    assert "".join("".join(pieces).split()) == "".join(text.split())
    if unit == "word, ":
        assert all(piece.endswith(",") for piece in pieces[:-1])


@pytest.mark.parametrize("unit", ["a.", ". ", '."', ". “ ", "A. ", "।", "((", "1.", " »"])
def test_time_grows_with_length_only(unit: str) -> None:
    start = time.perf_counter()
    segment.segment(unit * 50_000, "de")
    assert time.perf_counter() - start < 5


# The stage


def stored(tmp_path: Path, *rows: dict[str, object]) -> Workspace:
    workspace = Workspace.create(tmp_path, "you@example.org")
    frame = ARTICLES.frame({"version": str(row["article_id"])[:1] * 12, **row} for row in rows)
    made = Made({"articles": frame, "rejects": REJECTS.empty()})
    part = Part("site/1", [str(rows)], None)
    stages.run(extract.STAGE, workspace.extracted, [part], lambda work: made)
    dedup.update(workspace)
    return workspace


ONE = {
    "article_id": "a" * 16,
    "lang": "lb",
    "title": "Um 3. Mee. Eng Bréck",
    "lead": "De Lead. Hien ass kuerz.",
    "text": "Eent. Zwee.\n\nDräi",
    "published": datetime(2026, 5, 31, 23, 59, tzinfo=UTC),
}


def test_articles_become_sentences_by_language_and_month(tmp_path: Path) -> None:
    two = {**ONE, "article_id": "b" * 16, "published": None, "title": "", "text": "Véier."}
    workspace = stored(tmp_path, ONE, two)
    run = segment.update(workspace)
    assert run.counts == {"articles": 2, "sentences": 9}
    rows = stages.scan(segment.STAGE, workspace.sentences, SENTENCES)
    assert rows.select("n", "part", "text").rows() == [
        (0, "title", "Um 3. Mee. Eng Bréck"),
        (1, "lead", "De Lead."),
        (2, "lead", "Hien ass kuerz."),
        (3, "body", "Eent."),
        (4, "body", "Zwee."),
        (5, "body", "Dräi"),
        (1, "lead", "De Lead."),
        (2, "lead", "Hien ass kuerz."),
        (3, "body", "Véier."),
    ]
    assert rows["sentence_id"][0] == f"{'a' * 16}.{'a' * 12}.0"
    assert rows["text_key"][3] == text_key("Eent.")
    parts = [
        str(path.relative_to(workspace.sentences))
        for path, _ in stages.manifests(workspace.sentences)
    ]
    assert parts == ["lb/2026-05.json", "lb/undated.json"]


def test_a_late_article_changes_its_month_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    june = {
        **ONE,
        "article_id": "c" * 16,
        "published": datetime(2026, 6, 1, tzinfo=UTC),
        "text": "X",
    }
    segment.update(stored(tmp_path, ONE, june))
    late = {**june, "article_id": "d" * 16, "text": "Y"}
    workspace = stored(tmp_path, ONE, june, late)
    assert segment.update(workspace).n_made == 1
    assert not segment.update(workspace).changed
    pack = segment._pack_text
    monkeypatch.setattr(segment, "_pack_text", lambda lang: pack(lang) + "# changed")
    assert segment.update(workspace, dry=True).n_made == 2


# Real text

FINAL = re.compile(r"[.!?…।॥][\s\"'”’“»«)\]›]*$")
# A plain end inside a line counts as an end: a word of four lower-case letters at least,
# a mark, and a capital (or a Bangla letter) that a quote may open.
INNER = re.compile(r"(?<=[a-zà-ÿß\u0980-\u09ff]{4}[.!?।])\s+(?=[\"«„“]?\s?[A-ZÀ-Þ\u0985-\u09ff])")
PLAIN = re.compile(r"([.!?।…][\"'”’“»)]*)\s+(?=[\"'“„«‘(]*[A-ZÀ-ÖØ-Þ0-9\u0980-\u09ff])")


def paragraphs(file: Path, lang: str, half: int) -> Iterator[list[str]]:
    """Join lines: a paragraph breaks after a line without final punctuation."""
    documents: dict[str, list[str]] = {}
    with file.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
            documents.setdefault(row["doc"], []).append(" ".join(row[lang].split()))
    for lines in list(documents.values())[half::2]:
        open_lines: list[str] = []
        for line in filter(None, lines):
            open_lines += INNER.split(line)
            if not FINAL.search(line):
                yield open_lines
                open_lines = []
        yield open_lines


def ends(sentences: list[str]) -> set[int]:
    """Count the letters before each inner end."""
    lengths = [len("".join(s.split())) for s in sentences]
    return {sum(lengths[:n]) for n in range(1, len(lengths))}


def f1(split: Callable[[str], list[str]], gold: list[list[str]]) -> float:
    right = found = true = 0
    for lines in gold:
        got, want = ends(split(" ".join(lines))), ends(lines)
        right, found, true = right + len(got & want), found + len(got), true + len(want)
    return 2 * right / (found + true)


@pytest.mark.realdata
@pytest.mark.parametrize("lang", ["lb", "fr", "en", "de", "bn"])
def test_ntrex_sentences_are_found_again(shared: Path, lang: str) -> None:
    gold = list(paragraphs(shared / "ntrex" / "ntrex.tsv", lang, half=1))
    ours = f1(lambda text: segment.segment(text, lang), gold)
    plain = f1(lambda text: PLAIN.sub("\\1\n", text).split("\n"), gold)
    assert ours > plain
    assert ours >= {"lb": 0.99, "fr": 0.99, "en": 0.99, "de": 0.98, "bn": 0.98}[lang]
