from __future__ import annotations

import gzip
import json
import re
import urllib.error
import urllib.request
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from corpus.errors import InputError
from corpus.sample.documents import Document, load_documents
from corpus.sample.render import newsroom_profile, render
from corpus.sample.server import NewsroomServer, Page
from corpus.sites import Profile, builtin_profiles, load_profile

if TYPE_CHECKING:
    from pathlib import Path

FIRST = date(2026, 3, 2)


def documents(n: int, languages: tuple[str, ...] = ("lb", "fr", "en", "bn")) -> list[Document]:
    return [
        Document(
            f"doc{i}",
            {
                lang: {
                    0: f"Title {i} {lang}",
                    **{k: f"Line {k} of {i} in {lang}." for k in range(1, 9)},
                }
                for lang in languages
            },
        )
        for i in range(n)
    ]


def test_the_bundled_stories_are_what_the_readme_promises() -> None:
    stories = load_documents()
    full = [s for s in stories if {"lb", "fr", "en"} <= s.lines.keys()]
    assert len({s.name for s in stories}) == len(stories)
    assert len(full) >= 36
    assert sum("bn" in s.lines for s in stories) >= 12
    assert any(len(s.lines) == 1 for s in stories)  # in one language only
    assert all(s.invented for s in stories)


def test_documents_are_read_by_column_and_line(tmp_path: Path) -> None:
    file = tmp_path / "d.tsv"
    file.write_text(
        'doc\tn\tlb\tpt-BR\nb\t1\tZwee "Wierder"\t\nb\t0\tTitel\tTítulo\na\t0\t\tUm\u2028só\n',
        encoding="utf-8",
    )
    assert load_documents(file) == [
        Document("b", {"lb": {0: "Titel", 1: 'Zwee "Wierder"'}, "pt-BR": {0: "Título"}}),
        Document("a", {"pt-BR": {0: "Um\u2028só"}}),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("doc\tlb\na\tx\n", "needed are doc, n"),
        ("doc\tn\na\t0\n", "one per language"),
        ("doc\tn\tzz\na\t0\tx\n", "'zz'"),
        ("doc\tn\tlb\na\tzero\tx\n", "line 2"),
        ("doc\tn\tlb\na\t0\tx\na\t0\ty\n", "n = 0 twice"),
        ("doc\tn\tlb\na\t0\t" + "x" * 30_000 + "\n", "30000 characters"),
    ],
)
def test_a_broken_file_of_documents_is_one_clear_error(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "d.tsv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(says)):
        load_documents(file)
    with pytest.raises(InputError, match="cannot read"):
        load_documents(tmp_path / "none.tsv")


@pytest.mark.parametrize("site", builtin_profiles())
def test_every_profile_renders_all_documents_in_its_languages(site: str) -> None:
    profile = load_profile(site)
    room = render(documents(20), profile)
    assert room.gold.keys() == {(f"doc{i}", la) for i in range(20) for la in profile.languages}
    for article in room.gold.values():
        edition = profile.edition_of(article.url)
        assert edition is not None
        assert edition.lang == article.lang
        assert edition.is_article(article.url)
        page = room.pages[edition.host, article.path].body.decode()
        # The page's text holds every line once between its tags.
        body = re.sub(r"<head>.*?</head>|<aside.*?</aside>", "", page, flags=re.DOTALL)
        assert all(body.count(line) == 1 for line in list(article.lines.values())[2:])


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    profile = load_profile("sample")
    assert render(documents(9), profile).pages == render(documents(9), profile).pages
    assert render(documents(9), profile).pages != render(documents(9), profile, seed=1).pages


def test_dates_move_by_a_day_at_most_and_eight_documents_share_one() -> None:
    room = render(documents(40), load_profile("sample"), first_day=FIRST)
    moved = {
        a.published.date() - FIRST - timedelta(int(a.doc[3:]) // 8) for a in room.gold.values()
    }
    assert moved == {timedelta(-1), timedelta(0), timedelta(1)}


def test_paragraphs_have_two_to_five_lines_and_a_subheading_ends_one() -> None:
    lines = {n: f"Line {n}." for n in range(60)} | {31: "A subheading"}
    article = render([Document("d", {"lb": lines})], load_profile("sample")).gold["d", "lb"]
    sizes = [p.count("Line") + p.count("sub") for p in article.paragraphs]
    assert " ".join(article.paragraphs) == " ".join(list(lines.values())[1:])
    end = next(n for n, p in enumerate(article.paragraphs) if p.endswith("A subheading"))
    assert {s for n, s in enumerate(sizes[:-1]) if n != end} == {2, 3, 4, 5}


def test_pages_carry_dates_and_say_that_they_are_invented() -> None:
    profile = load_profile("sample")
    stories = load_documents()
    room = render(stories, profile)
    for (host, path), page in room.pages.items():
        if page.content_type.startswith("text/html"):
            assert "invented" in page.body.decode(), (host, path)
    article = room.gold[stories[0].name, "en"]
    html = room.pages["en.sample.example", article.path].body.decode()
    data = json.loads(re.findall(r'<script type="application/ld\+json">(.*?)</script>', html)[0])
    assert data["headline"] == article.title
    assert data["datePublished"] == article.published.isoformat()
    assert f'content="{article.published.isoformat()}"' in html
    other = render(documents(3), profile)
    assert not any(b"invented" in page.body for page in other.pages.values())


def test_text_cannot_break_out_of_a_page() -> None:
    bad = '</script><script>alert(1)</script> & "x" <b>'
    room = render([Document("d", {"en": {0: bad, 1: bad}})], newsroom_profile(["en"]))
    for page in room.pages.values():
        assert b"<script>alert" not in page.body


def test_sitemaps_and_feed_list_every_article_with_its_date() -> None:
    room = render(documents(30), load_profile("sample"), first_day=date(2026, 3, 30))
    articles = [a for a in room.gold.values() if a.lang == "lb"]
    listed = {}
    for (host, path), page in room.pages.items():
        if host == "lb.sample.example" and path.endswith(".xml.gz"):
            text = gzip.decompress(page.body).decode()
            listed |= dict(re.findall(r"<loc>(.*?)</loc><lastmod>(.*?)</lastmod>", text))
    assert listed == {a.url: a.published.isoformat() for a in articles}
    feed = room.pages["lb.sample.example", "/rss/news"].body.decode()
    newest = sorted(articles, key=lambda a: (a.published, a.url), reverse=True)[:20]
    assert re.findall("<guid>(.*?)</guid>", feed) == [a.url for a in newest]


def test_newsroom_profile_pairs_all_languages_with_the_larger_one_as_target() -> None:
    assert newsroom_profile(["en", "lb", "fr", "bn"]).pairs == [
        "lb-bn", "lb-fr", "lb-en", "bn-fr", "bn-en", "fr-en",
    ]  # fmt: skip


def test_a_profile_with_unknown_paths_is_an_error() -> None:
    profile = load_profile("sample").model_dump()
    profile["editions"][0]["articles"] = [r"^/artikel\.aspx$"]
    with pytest.raises(InputError, match=r"no known form of path fits .*artikel"):
        render(documents(1), Profile.model_validate(profile))


def test_the_server_answers_by_host_and_keeps_a_log() -> None:
    pages = {("a.example", "/x?y=1"): Page(b"A"), ("b.example", "/x?y=1"): Page(b"B", status=203)}
    with NewsroomServer(pages) as server:

        def ask(host: str, path: str, method: str = "GET") -> tuple[int, bytes]:
            request = urllib.request.Request(
                f"http://{server.address}{path}", headers={"Host": host}, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, b""

        assert ask("a.example", "/x?y=1") == (200, b"A")
        assert ask("b.example", "/x?y=1") == (203, b"B")
        assert ask("b.example", "/x?y=1", "HEAD") == (203, b"")
        assert ask("c.example", "/x?y=1")[0] == 404
        assert server.host_map == {"a.example": server.address, "b.example": server.address}
    assert [(s.method, s.host, s.path) for s in server.log] == [
        ("GET", "a.example", "/x?y=1"),
        ("GET", "b.example", "/x?y=1"),
        ("HEAD", "b.example", "/x?y=1"),
        ("GET", "c.example", "/x?y=1"),
    ]
