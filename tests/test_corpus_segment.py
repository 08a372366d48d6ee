from __future__ import annotations

import time
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import dedup, extract, languages, segment, stages
from corpus.packs import Pack, load_pack
from corpus.stages import Made, Part
from corpus.tables import ARTICLES, REJECTS, SENTENCES, text_key
from corpus.workspace import Workspace
from tests.language_quality import LANGUAGES, segmentation

if TYPE_CHECKING:
    pass

FILES = files("corpus").joinpath("packs").iterdir()
PACKS = sorted(f.name[:-5] for f in FILES if f.name.endswith(".toml"))

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
        Den 1. Januar 2026 ass frei.| D'Geschäfter sinn zou.
        Hien ass den 23.6.1912 gebuer.| 1954 ass hie gestuerwen.
        D'Madame J. K. Weber an den Här P. Muller waren do.| Si hu gelaacht.
        "Ech weess et net", sot hien.| "Mir kucken elo."| Dann ass hien heem.
        Den Accident war um 20.15 Auer.| 3 Leit goufe blesséiert.
        Hien ass op der 2. Plaz, hatt op der 3. Plaz.| Bravo!
        D'CSV huet 21 Sëtz.| 't ass eng Sensatioun.
        Den Dr. med. Weber an d'Prof. Klein schaffen zu Lëtzebuerg.| Déi aner net.
        D'Firma Stol S.A. huet Verloschter.| D'Aktie fält.
        Hie sot: „Ech ginn.“| Duerno ass hie gaangen.
        De Jang wunnt zu St. Vith.| D'Marie net.
        Dat steet am Art. 5, Abs. 2.| Dat geet duer.
        Hie schafft fir d'Police (cf. S. 12).| Hatt net.
        Um 24.12. ass alles zou.| Um 25. och.
        De Präis läit bei 3 Mio. Euro.| Dat ass vill.
        Et si bis zu max. 5 Persoune erlaabt.| Méi net!
        1. Plaz: D'Equipe vu Miersch.| 2. Plaz: D'Equipe vun Dikrech.
        De Stau war tëscht 7. an 9. Auer.| Elo net méi.
        De Minister sot, d'Zuel wier falsch.| D'Oppositioun lacht.
        Am 2. Weltkrich gouf vill zerstéiert.| Am 1. och.
        D'Ministesch fir Bildung, Kanner etc. war do.| Si huet geschwat.
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
        Le 1er mai 2026, M. J. Dupont est né à 6 h.| Il va bien.
        Voir le chap. 3, p. 12 et l'art. 5.| C'est tout.
        Il a dit : « Je pars. »| Puis il est parti.
        « Oui », dit-il.| « Non », répond-elle.
        Le peloton passe le col.| Il attaque.
        Elle ne dit pas non.| Elle attend.
        Le gén. Leclerc et le col. Fabien sont arrivés.| On les attendait.
        Le C.H.L. de Luxembourg recrute.| L'hôpital manque de bras.
        Mme. Keller (LSAP, etc.) a voté.| Les autres aussi.
        J. R. R. Tolkien est lu partout.| À Paris, surtout.
        Il gagne 2,5 mio. d'euros, env. 10 % de plus qu'en 2020.| En 2021, rien.
        Est-ce vrai ?! | Oui…| Enfin, presque.
        Elle est née le 31.12.1990 à St. Vith.| Lui aussi.
        Qui l'a fait ?| L'un d'eux.
        Le no. 10 joue bien.| C'est le capitaine.
        D'après S. Muller, « c'est fini ».| D'autres doutent.
        1. Ouvrir la porte.| 2. Sortir.
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
        J.R.R. Tolkien and C. S. Lewis met.| They talked.
        U.S. President Donald Trump spoke.| Nobody listened.
        The train left at 5 a.m. on Monday.| It was late.
        It opens at 9 a.m.| The doors close at 5 p.m.
        She said no.| Then she left.
        He lives at No. 10 Downing Street, Washington D.C.| He likes it.
        It is a work of art.| It hangs in Room 5.
        "Stop!" she said.| "Why?" | He ran.
        He said: "I will."| She did not.
        The plane, a Boeing 737 (built by Boeing Co.), crashed.| No one died.
        She works for Jones & Co. in Leeds.| He does not.
        Sgt. Pepper and Lt. Gov. Brown met Sen. Smith (R-Ohio).| They agreed.
        The film cost $3.5 million.| It earned £5.2m.| £1m went to charity.
        He was born in Jan. 1950.| In Feb. he moved.
        1. Open the door.| 2. Leave.
        The score was 3.5 vs. 4.| Who won?
        Martin Luther King Jr. spoke.| He had a dream.
        Is it "art"?| Yes, it is.
        He has a Ph.D. from Yale.| She has none.
        The so-called "new deal."| It failed.
        See p. 5, fig. 3 and vol. 2.| That is all.
        Mr. T. was there.| He left at 3 p.m. EST.
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
        Am 24.12. ist alles zu.| Am 25. auch.
        Er stellte Fragen dieser Art.| Die Antwort blieb aus.
        Das sagte Max.| Er lachte.
        J. K. Rowling und E. T. A. Hoffmann schreiben.| Wir lesen.
        Es sind max. 5 Personen erlaubt.| Mehr nicht!
        Das ist Nr. 12 auf S. 5 in Bd. 3.| Siehe Abb. 4.
        Er sagte: „Ich komme.“| Dann ging er.
        „Warum?“, fragte er.| „Darum!“, sagte sie.
        Die Stadt St. Wendel liegt im Saarland.| Sie ist klein.
        Der 1. FC Köln verlor das 2. Spiel.| Trainer Müller tobte.
        Im 2. Weltkrieg starben Mio. Menschen.| Keiner zählte sie.
        Papst Johannes Paul II. starb 2005.| Er war Pole.
        König Karl I. wurde 1649 hingerichtet.| Seine Söhne flohen.
        Das gilt z. B. für Trier.| Für Köln nicht.
        Die Firma Meier & Co. KG zahlt.| Andere nicht.
        Es kostet 3 Mrd. Euro bzw. 4 Mrd. Dollar.| Viel Geld.
        Die Bahn (vgl. Kap. 3) fuhr ca. 5 Std. lang.| Dann hielt sie.
        Er kam um 18 Uhr.| 20 Gäste waren da.
        1. Tür öffnen.| 2. Gehen.
        Wer war das?| Niemand...| Oder doch?
        Dr. h. c. Klein und Dipl.-Ing. Weber kamen.| Sie blieben.
        Es war ca. 20 v. Chr. in Rom.| Das ist lange her.
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
        তিনি এলেন৷| আমি গেলাম৷
        “আমি যাব।” | তিনি বললেন, “চলো।”
        ডা. রহমান ও অধ্যা. করিম এসেছেন।| তাঁরা খুশি।
        ১. প্রথম কথা।| ২. দ্বিতীয় কথা।
        তিনি কি আসবেন?| না!
        সকাল ৮.৩০ মিনিটে সভা।| সবাই আসুন।
        ২০২৬ সালের ৩ মে।| সেদিন বৃষ্টি ছিল।
        এ.কে.এম. শামীম ও বি.এন.পি. নেতা বৈঠক করেন।| ফল হয়নি।
        তিনি বলেন, ‘এটা ঠিক নয়।’| তবে কেউ শোনেনি।
        আয় ৫০০ কোটি টাকা (প্রায়)।| ব্যয় কম।
        তারিখ ৩১.১২.২০২৫।| আর কিছু নয়।
        সে এল…| তারপর চলে গেল।
        মি. হক বললেন: ‘হ্যাঁ।’| মিসেস হক চুপ।
        এটি U.S. Embassy থেকে আসে।| সবাই জানে।
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
        pack = load_pack(name)
        dotted = (pack.abbreviations, pack.may_end, pack.numbered)
        for word in frozenset().union(*dotted):
            assert word == word.casefold().rstrip("."), (name, word)
        assert sum(map(len, dotted)) == len(frozenset().union(*dotted)), name
        for word in pack.words:
            found = languages.WORD.findall(word + "x" * word.endswith("'"))
            assert found[:1] == [word], (name, word)
        assert all(word[0] == "'" or not word[0].islower() for word in pack.starters), name


def test_the_default_pack_explains_every_key() -> None:
    text = files("corpus").joinpath("packs", "default.toml").read_text()
    assert set(tomllib.loads(text)) == set(Pack.model_fields)
    assert load_pack("pt-BR") == load_pack("default")
    assert load_pack("de-LU") == load_pack("de")


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
    monkeypatch.setattr(segment, "pack_digest", lambda lang: f"changed {lang}")
    assert segment.update(workspace, dry=True).n_made == 2


# Real text


@pytest.mark.realdata
@pytest.mark.parametrize("lang", LANGUAGES)
def test_ntrex_sentences_are_found_again(shared: Path, lang: str) -> None:
    for half in ("test", "all"):
        found = segmentation(half, lang, shared)
        print(lang, half, found)  # noqa: T201
        assert found["ours"] >= (0.96 if lang == "fr" else 0.975)
        assert found["ours"] > max(found["sentencex"], found["regex"])
