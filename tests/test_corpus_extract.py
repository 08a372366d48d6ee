from __future__ import annotations

import gzip
import json
import os
import random
import re
import zlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml.html import fromstring

from corpus import boilerplate, dates, extract, markup, pages, stages
from corpus.crawl.warc import response_record
from corpus.engine import Limits, Lost, Pool
from corpus.errors import InputError, ProfileError
from corpus.extract import Reject, extract_page
from corpus.sample.documents import load_documents
from corpus.sample.render import render
from corpus.sites import Profile, Select, load_profile
from corpus.tables import ARTICLES, REJECTS, article_id, read
from corpus.warc import MAX_BODY, Damage, Page, read_records
from corpus.workspace import Workspace

HTML = {"content-type": "text/html; charset=utf-8"}
FETCHED = datetime(2026, 6, 1, 12, tzinfo=UTC)
PROFILE = Profile.model_validate(
    {
        "name": "village",
        "title": "Village",
        "licence": "CC0-1.0",
        "pairs": ["lb-en"],
        "editions": [
            {"lang": "lb", "host": "lb.example", "articles": [r"^/a/"]},
            {"lang": "en", "host": "en.example", "articles": [r"^/a/"]},
        ],
    }
)
FIRST = "The mayor opened the new bridge over the river on Monday morning, after years of work."
LEAD = "A village celebrates what it waited for so long."
SHOWN = f'<header><div class="kicker-caption">{LEAD}</div></header>'
SECOND = "Many people from the village came to walk across it, and the school choir sang two songs."


def page(extra: str = "", head: str = "", url: str = "https://en.example/a/1", **more: Any) -> Page:
    html = (
        f"<html><head><title>The bridge is open</title>{head}</head><body><h1>The bridge is open"
        f"</h1><div><p>{FIRST}</p><p>{SECOND}</p>{extra}</div></body></html>"
    )
    facts = {"fetched": FETCHED, "headers": HTML, **more}
    return Page(url, **{"body": html.encode(), **facts})


def written(sentence: str) -> Page:
    return page(body=f"<html><body><p>{sentence * 9}</p></body></html>".encode())


def article(made: Page) -> dict[str, Any]:
    result = extract_page(made, PROFILE)
    assert isinstance(result, dict), result
    return result


def record(url: str, body: bytes, listed: str | None = None, status: int = 200) -> bytes:
    headers = [("Content-Type", "text/html")]
    raw = response_record(url, status, headers, body, "2026-06-01T12:00:00Z", listed)
    return gzip.compress(raw, 1)


def test_an_article_has_all_its_fields() -> None:
    head = (
        '<link rel="canonical" href="/a/1?utm_source=x&amp;id=7#top">'
        f'<meta name="description" content="{LEAD}">'
        '<meta property="article:published_time" content="2026-05-30T23:30:00+02:00">'
        '<meta name="robots" content="noindex">'
    )
    row = article(page(SHOWN, head, headers={**HTML, "tdm-reservation": "0"}, offset=42))
    assert row["url"] == "https://en.example/a/1?id=7"
    assert row["article_id"] == article_id(row["url"])
    assert (row["title"], row["text"]) == ("The bridge is open", f"{FIRST}\n\n{SECOND}")
    assert row["lead"] == LEAD
    assert row["published"] == datetime(2026, 5, 30, 21, 30, tzinfo=UTC)
    assert (row["published_from"], row["published_agree"]) == ("meta", 1)
    assert row["rights"] == "tdm-reservation: 0; meta robots: noindex"
    assert (row["site"], row["licence"], row["lang"]) == ("village", "CC0-1.0", "en")
    assert (row["fetched"], row["offset"]) == (FETCHED, 42)
    assert set(row) == set(ARTICLES.columns) - {"warc"}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (page(status=404), "http_status"),
        (page(headers={"content-type": "application/pdf"}), "not_html"),
        (page(headers={}, body=b"%PDF-1.7"), "not_html"),
        (page(url="https://en.example/tag/bridge"), "not_article"),
        (page(url="https://elsewhere.example/a/1"), "not_article"),
        (page(body=b"<p>" + b"x" * MAX_BODY), "too_large"),
        (page(body=b"<html><body></body></html>"), "no_text"),
        (page(body=b"<html><body><p>Too little to be news.</p></body></html>"), "too_short"),
        (written("এই সেতু আজ সকালে খুলে দেওয়া হয়েছে। "), "wrong_language"),
        (written("De burgemeester heeft vanmorgen de brug geopend. "), "wrong_language"),
    ],
)  # fmt: skip
def test_what_is_no_article_is_a_reject_with_its_reason(made: Page, reason: str) -> None:
    result = extract_page(made, PROFILE)
    assert isinstance(result, Reject)
    assert result.reason == reason


def test_hostile_pages_come_out_as_articles_or_rejects() -> None:
    deep = page(body=b"<div>" * 100_000 + FIRST.encode() + b"</div>" * 100_000)
    assert isinstance(extract_page(deep, PROFILE), dict | Reject)
    data = json.dumps({"@type": "NewsArticle", "headline": "\ud800 \x00 The bridge"})
    nested = '<script type="application/ld+json">' + "[" * 90_000 + "</script>"
    head = f'<script type="application/ld+json">{data}</script>{nested}'
    row = article(
        page("<p>Zero\x00 width\u200b and \x07bells ring for the visitors here.</p>", head)
    )
    assert ARTICLES.frame([row]).height == 1  # polars refuses lone surrogates
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u200b\ud800]", row["title"] + row["text"])
    latin = page(
        body=page("<p>Där läuft die Brücke übers Wasser, café.</p>").body.decode().encode("latin-1")
    )
    assert "Brücke" in article(latin)["text"]


def test_teasers_menus_and_labels_stay_out() -> None:
    noise = (
        '<p>Read also: <a href="/a/2">Quite another matter that nobody asked for</a></p>'
        '<ul><li><a href="/a/3">A third story of the day</a></li></ul>'
        '<article><h3><a href="/a/4">The fourth story is a card</a></h3><p>It sums up.</p>'
        "</article><h2>You may also like</h2><p>National</p>"
    )
    body = f'<p>They said: <a href="/x">it holds</a> for a hundred years, and all nod.</p>{noise}'
    text = article(page(body))["text"].split("\n\n")
    assert text == [FIRST, SECOND, "They said: it holds for a hundred years, and all nod."]


def test_notices_and_captions_stay_out_and_a_long_article_in() -> None:
    notice = "<p>External content is not shown with your settings.</p>"
    caption = '<div class="img-caption">The bridge on Monday, seen from a mill. Photo: A.</div>'
    story = f'<article><h2><a href="/tag/x">Local</a></h2>{f"<p>{SECOND}</p>{notice}{caption}" * 3}'
    more = "".join(f"<p>Line {n} of the story says more than the last.</p>" for n in range(20))
    text = article(page(f"{story}{more}</article>"))["text"]
    assert "External content" not in text
    assert "Photo" not in text
    assert "Line 19 of the story" in text


def test_what_its_class_calls_no_text_and_pulled_quotes_stay_out() -> None:
    prompt = "An external content is here. I agree that it is shown to me from now on."
    noise = (
        '<div class="c-ad__label">Advertisement, the story continues below the line</div>'
        f"<blockquote>“{SECOND[12:]}</blockquote><p>Anna Muller, mayor</p>"
        f'<p>{prompt}</p><p class="Author-Bio">She writes on bridges and on rivers of the land.</p>'
        '<p>The bridge <a href="/r">(opens<span class="sr-only">new window</span>) stands</a> on '
        "piers of oak, as its makers wished it to.</p><p>Nobody fell in, says the mayor's desk.</p>"
    )
    text = article(page(noise))["text"].split("\n\n")
    assert text == [
        FIRST, SECOND, "The bridge (opens) stands on piers of oak, as its makers wished it to.",
        "Nobody fell in, says the mayor's desk.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("description", "shown", "lead"),
    [
        (LEAD, SHOWN, LEAD),
        (LEAD, "", ""),
        (FIRST, FIRST, ""),
        (FIRST[:60] + "…", "", ""),
        (LEAD[:40] + "...", SHOWN, ""),
        ("Village news", "<div>Village news</div>", ""),
        (f"{FIRST}{SECOND}"[:150], "", ""),  # cut from the text, the blank between lost
    ],
)
def test_a_lead_is_seen_and_is_not_the_text_again(description: str, shown: str, lead: str) -> None:
    head = f'<meta property="og:description" content="{description}">'
    assert article(page(shown, head))["lead"] == lead


@pytest.mark.parametrize(
    ("head", "listed", "url", "expected"),
    [
        ("", None, "/a/1", (None, None, 0)),
        ("", "2026-05-02T08:00:00+00:00", "/a/1", ("2026-05-02T08:00:00+00:00", "listed", 1)),
        ("", None, "/a/2026/05/03/x", ("2026-05-03T00:00:00+00:00", "url", 1)),
        # Late in the evening, in the zone of the source: still the URL's day.
        ('{"@type":"NewsArticle","datePublished":"2026-05-03T00:30:00+02:00"}',
         "2026-05-02T22:30:00+00:00", "/a/2026/05/03/x",
         ("2026-05-02T22:30:00+00:00", "json-ld", 3)),
        # Another article's date in a list, and a date after the fetch, do not count.
        ('{"@type":"ItemList","itemListElement":[{"@type":"NewsArticle","datePublished":'
         '"2026-05-09"}]}', "2027-01-01T00:00:00+00:00", "/a/20260504-x",
         ("2026-05-04T00:00:00+00:00", "url", 1)),
        ('[{"@type":["Thing","NewsArticle"],"datePublished":"soon"}]', None, "/a/1",
         (None, None, 0)),
        # Of two articles the one that the page is; a comma too many; zones as some write them.
        ('[{"@type":"NewsArticle","headline":"The road","datePublished":"2026-05-07"},'
         '{"@type":"NewsArticle","headline":"The bridge is open","datePublished":"2026-05-05"}]',
         None, "/a/1", ("2026-05-05T00:00:00+00:00", "json-ld", 1)),
        ('{"@type":"NewsArticle","datePublished":"2026-05-05 23:30:00 -02:00",}', None, "/a/1",
         ("2026-05-06T01:30:00+00:00", "json-ld", 1)),
        ('{"@type":"NewsArticle","datePublished":"2026-05-05T10:00+02:00[Europe/Paris]"}', None,
         "/a/1", ("2026-05-05T08:00:00+00:00", "json-ld", 1)),
        ('{"@type":"NewsArticle","datePublished":"2026-05-05, in the morning"}', None, "/a/1",
         ("2026-05-05T00:00:00+00:00", "json-ld", 1)),
    ],
)  # fmt: skip
def test_the_first_source_gives_the_date_and_others_agree(
    head: str, listed: str | None, url: str, expected: tuple[str | None, str | None, int]
) -> None:
    script = f'<script type="application/ld+json">{head}</script>' if head else ""
    made = page(
        head=script,
        url=f"https://en.example{url}",
        listed=datetime.fromisoformat(listed) if listed else None,
    )
    row = article(made)
    published = row["published"].isoformat() if row["published"] else None
    assert (published, row["published_from"], row["published_agree"]) == expected


def test_the_text_is_asked_last_and_never_for_the_future() -> None:
    assert article(page("<p>Published on 4 May 2026 by the desk in the village.</p>"))[
        "published_from"
    ] in (None, "text")
    old = page("<time datetime='2026-05-04'>4 May</time>")
    assert dates.published(old, extract.trafilatura.load_html(old.body), {}, "en")[0] is not None
    assert article(page("<time datetime='2031-05-04'>4 May 2031</time>"))["published"] is None


@pytest.mark.parametrize(
    ("lang", "shown"),
    [
        ("lb", "<p class='story-date'>4. Mee 2026</p>"),
        ("lb", "<p class='updated'>Update: 5. Mee 2026</p><time>4. Mee 2026</time>"),
        ("en", "<p>1 May 2026</p><b itemprop='datePublished' content='2026-05-04'>Monday</b>"),
    ],
)
def test_a_date_is_read_beside_the_headline(lang: str, shown: str) -> None:
    made = page(f"{shown}<p>{SECOND}</p>")
    tree = extract.trafilatura.load_html(made.body)
    assert dates.published(made, tree, {}, lang)[:2] == (datetime(2026, 5, 4, tzinfo=UTC), "shown")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://EN.Example:443/a/1#top", "https://en.example/a/1"),
        ("http://en.example:80?b=2&a=1&fbclid=x&utm_medium=y", "http://en.example/?a=1&b=2"),
        ("https://en.example/a/সেতু", "https://en.example/a/%E0%A6%B8%E0%A7%87%E0%A6%A4%E0%A7%81"),
    ],
)
def test_canonical_urls(url: str, expected: str) -> None:
    assert markup.canonical_url(url) == expected
    assert markup.canonical_url(expected) == expected


@pytest.mark.parametrize("href", ["https://evil.example/a/9", "/", "http://[", "/tag/x"])
def test_a_canonical_link_counts_for_the_hosts_articles_only(href: str) -> None:
    row = article(page(head=f'<link rel="canonical" href="{href}">'))
    assert row["url"] == "https://en.example/a/1"


def test_every_page_of_the_sample_gives_its_story_and_nothing_else() -> None:
    room = render(load_documents(), load_profile("sample"))
    stories = sorted(room.gold.values(), key=lambda a: a.url)[::2]
    assert {story.lang for story in stories} == {"lb", "fr", "en", "bn"}
    for story in stories:
        body = room.pages[urlsplit(story.url).netloc, story.path].body
        row = extract_page(Page(story.url, body, fetched=FETCHED, headers=HTML), room.profile)
        assert isinstance(row, dict)
        assert row["text"].split("\n\n") == [markup.clean(p) for p in story.paragraphs]
        assert (row["title"], row["lead"]) == (markup.clean(story.title), "")
        assert (row["lang"], row["published"], row["url"]) == (
            story.lang, story.published, story.url,
        )  # fmt: skip


# WARC files


def test_reading_back_what_the_crawl_writes(tmp_path: Path) -> None:
    path = tmp_path / "1.warc.gz"
    one = record("http://a.example/1", b"one", "2026-05-31T10:00:00Z")
    path.write_bytes(one + record("http://a.example/2", b""))
    first, second = read_records(path)
    assert isinstance(first, Page)
    assert isinstance(second, Page)
    assert (first.url, first.body, first.status) == ("http://a.example/1", b"one", 200)
    assert first.headers["content-type"] == "text/html"
    assert (first.listed, first.fetched) == (datetime(2026, 5, 31, 10, tzinfo=UTC), FETCHED)
    assert (second.body, second.listed, second.offset) == (b"", None, len(one))


@pytest.mark.parametrize("torn", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_torn_member_costs_itself_alone(tmp_path: Path, torn: int, seed: int) -> None:
    draw = random.Random(seed)
    members = [record(f"http://a.example/{n}", draw.randbytes(3_000)) for n in range(4)]
    cut = draw.randrange(1, len(members[torn]))
    offset = sum(map(len, members[:torn]))
    members[torn] = members[torn][:cut]
    path = tmp_path / "1.warc.gz"
    path.write_bytes(b"".join(members))
    records = list(read_records(path))
    urls = [r.url for r in records if isinstance(r, Page)]
    assert urls == [f"http://a.example/{n}" for n in range(4) if n != torn]
    assert [r.offset for r in records if isinstance(r, Damage)] == [offset]


@pytest.mark.parametrize(
    "junk", [b"no gzip at all", gzip.compress(b"no record"), b"\x1f\x8b\x08" * 50, b"\0" * 70_000]
)
def test_junk_is_damage_and_reading_goes_on(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "1.warc.gz"
    path.write_bytes(junk + record("http://a.example/1", b"one") + junk)
    records = list(read_records(path))
    assert [type(r) for r in records] == [Damage, Page, Damage]
    path.write_bytes(b"")
    assert list(read_records(path)) == []


def test_broken_headers_are_damage_at_worst(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "1.warc.gz"
    whole = gzip.decompress(record("http://a.example/1", b"<p>one</p>", "2026-05-31T10:00:00Z"))
    draw, kinds = random.Random(0), Counter[str]()
    for _ in range(500):
        raw = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            at = draw.randrange(len(raw))
            raw[at : at + draw.randint(0, 9)] = draw.choice([b"", b"\0", b"\r\n", b"\xff", b":-9"])
        path.write_bytes(gzip.compress(raw, 1) + record("http://a.example/2", b"two"))
        *broken, last = read_records(path)
        assert isinstance(last, Page)
        assert last.body == b"two"
        kinds.update(type(r).__name__ for r in broken)
    assert min(kinds["Page"], kinds["Damage"]) > 50


def test_a_bomb_is_a_page_that_is_too_large(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://en.example/a/1\r\n"
        b"WARC-Date: 2026-06-01T12:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: 200000100\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    )
    bomb += b"".join(packer.compress(b" " * 1_000_000) for _ in range(200)) + packer.flush()
    path = tmp_path / "1.warc.gz"
    path.write_bytes(bomb + record("http://a.example/2", b"two"))
    big, small = read_records(path)
    assert isinstance(big, Page)
    assert len(big.body) == MAX_BODY + 1
    assert extract_page(big, PROFILE) == Reject("too_large", f"over {MAX_BODY} bytes")
    assert isinstance(small, Page)
    assert small.body == b"two"


# The stage


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path, "you@example.org")
    for site in ("village", "village-2"):
        folder = made.site_pages(site)
        folder.mkdir(parents=True)
        (folder / "profile.json").write_text(PROFILE.model_dump_json())
        pages = [record(f"https://en.example/a/{n}", page().body) for n in range(2)]
        pages += [record("https://en.example/a/3", b"x", status=500), b"torn"]
        (folder / "00001.warc.gz").write_bytes(b"".join(pages))
        (folder / "00002.warc.gz.open").write_bytes(b"not closed")
    return made


def test_each_page_is_an_article_or_a_reject(workspace: Workspace) -> None:
    run = extract.update(workspace)
    assert run.n_made == 2
    assert run.counts == {
        "pages": 8, "articles": 4, "rejects.http_status": 2, "rejects.damaged_warc": 2,
    }  # fmt: skip
    part = workspace.extracted / "village" / "00001"
    articles, rejects = read(part.with_suffix(".parquet"), ARTICLES), read(
        part.with_suffix(".rejects.parquet"), REJECTS
    )  # fmt: skip
    assert articles["warc"].unique().to_list() == ["00001.warc.gz"]
    assert sorted(zip(rejects["reason"], rejects["value"], strict=True)) == [
        ("damaged_warc", "torn gzip member of 4 bytes"),
        ("http_status", "500"),
    ]
    assert rejects["id"][0].startswith("00001.warc.gz@")
    assert "https://en.example/a/3" in rejects["id"].to_list()


def test_a_second_run_does_nothing_and_damage_is_made_again(workspace: Workspace) -> None:
    extract.update(workspace)
    assert not extract.update(workspace).changed
    part = workspace.extracted / "village" / "00001.parquet"
    before = part.read_bytes()
    part.write_bytes(b"damaged")
    assert extract.update(workspace, dry=True).n_made == 1
    assert extract.update(workspace).n_made == 1
    assert part.read_bytes() == before


def test_a_new_profile_or_a_gone_file_changes_its_parts_only(workspace: Workspace) -> None:
    extract.update(workspace)
    changed = PROFILE.model_copy(update={"licence": "CC-BY-4.0", "delay": 9.0})
    stored = workspace.site_pages("village") / "profile.json"
    stored.write_text(PROFILE.model_copy(update={"delay": 9.0}).model_dump_json())
    assert not extract.update(workspace).changed
    stored.write_text(changed.model_dump_json())
    assert extract.update(workspace).n_made == 1
    (workspace.site_pages("village-2") / "00001.warc.gz").unlink()
    run = extract.update(workspace)
    assert (run.n_made, run.n_removed, run.counts["pages"]) == (0, 1, 4)
    assert stages.scan(extract.STAGE, workspace.extracted, ARTICLES)["licence"].unique()[0] == (
        "CC-BY-4.0"
    )


def test_a_broken_profile_is_one_clear_error(workspace: Workspace) -> None:
    (workspace.site_pages("village") / "profile.json").write_text("{")
    with pytest.raises(ProfileError, match=r"profile\.json"):
        extract.update(workspace)


# Hints, boilerplate, kinds


def test_selectors_go_before_what_extraction_finds() -> None:
    select = {"body": "div.story", "title": "p.headline", "date": "span.day"}
    editions = [{**e, "select": select} for e in PROFILE.model_dump()["editions"]]
    profile = Profile.model_validate({**PROFILE.model_dump(), "editions": editions})
    story = f"<p>{SECOND}</p><aside><p>Read the paper of the day.</p></aside><p>{FIRST}</p>"
    extra = (
        f'<p class="headline">A bridge</p><span class="day">4 May 2026</span>'
        f'<div class="story">{story}</div>'
    )
    row = extract_page(page(extra), profile)
    assert isinstance(row, dict)
    assert (row["title"], row["text"]) == ("A bridge", f"{SECOND}\n\n{FIRST}")
    assert row["published"] == datetime(2026, 5, 4, tzinfo=UTC)
    assert row["published_from"] == "profile"
    plain = extract_page(page(), profile)
    assert isinstance(plain, dict)
    assert (plain["title"], plain["text"]) == ("The bridge is open", f"{FIRST}\n\n{SECOND}")
    for broken in ("p[", "::nothing"):
        with pytest.raises(ValueError, match="no CSS selector"):
            Select.model_validate({"body": broken})


def test_most_sources_decide_the_day() -> None:
    head = '<meta property="article:published_time" content="2026-05-03T08:00:00+02:00">'
    data = '{"@type":"NewsArticle","datePublished":"2026-05-09"}'
    head += f'<script type="application/ld+json">{data}</script>'
    row = article(page(head=head, url="https://en.example/a/2026/05/03/x"))
    assert row["published"] == datetime(2026, 5, 3, 6, tzinfo=UTC)
    assert (row["published_from"], row["published_agree"]) == ("meta", 2)


def typed(kind: str, text: str = FIRST, title: str = "The bridge", more: str = "") -> Page:
    data = json.dumps({"@type": kind, "isAccessibleForFree": kind != "NewsArticle"})
    head = f'<title>{title}</title><script type="application/ld+json">{data}</script>'
    body = f"<html><head>{head}</head><body><h1>{title}</h1><p>{text}</p>{more}</body></html>"
    return page(body=body.encode())


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (typed("VideoObject"), "video"),
        (typed("ImageGallery"), "gallery"),
        (typed("LiveBlogPosting"), "ticker"),
        (typed("NewsArticle"), "paywall"),
        (typed("WebPage", title="Page not found"), "soft_404"),
        (typed("WebPage", "We use cookies. " * 9 + "Do you consent to the cookies?"), "consent"),
        (
            typed(
                "WebPage", more="".join(f'<li><a href="/a/{n}">{SECOND}</a></li>' for n in range(9))
            ),
            "index",
        ),
    ],
)
def test_a_page_that_is_no_article_is_named(made: Page, reason: str) -> None:
    result = extract_page(made, PROFILE)
    assert isinstance(result, Reject)
    assert result.reason == reason


def test_a_ticker_of_whole_paragraphs_is_an_article() -> None:
    entries = "".join(f"<p>{n}:{n} At minute {n}, {SECOND.lower()}</p>" for n in range(10, 20))
    assert "At minute 19" in article(typed("LiveBlogPosting", more=entries))["text"]
    brief = "".join(f"<p>At minute {n} the village scores again, {n}:0.</p>" for n in range(10, 30))
    result = extract_page(typed("LiveBlogPosting", more=brief), PROFILE)
    assert isinstance(result, Reject)
    assert result.reason == "ticker"


def test_blocks_of_many_pages_are_boilerplate_and_learnt_once(workspace: Workspace) -> None:
    notice = "<div><p>Support the village paper from {} euros a month, and read more.</p></div>"
    folder = workspace.site_pages("village")
    records = [
        record(f"https://en.example/a/{n}", page(f"{notice.format(n)}<p>{SECOND} {n}.</p>").body)
        for n in range(boilerplate.N_PAGES)
    ]
    (folder / "00001.warc.gz").write_bytes(b"".join(records[:20]))
    extract.update(workspace)
    rows = stages.scan(extract.STAGE, workspace.extracted, ARTICLES).filter(site="village")
    assert not rows["text"].str.contains("Support").any()
    stored = workspace.boilerplate("village")
    first = json.loads(stored.read_text())
    assert first["n_pages"] == 20
    assert extract.update(workspace).n_made == 0
    (folder / "00003.warc.gz").write_bytes(b"".join(records[20:]))
    extract.update(workspace)
    full = stored.read_bytes()
    assert json.loads(full)["n_pages"] == boilerplate.N_PAGES
    (folder / "00004.warc.gz").write_bytes(record("https://en.example/a/x", page().body))
    assert extract.update(workspace).n_made == 1
    assert stored.read_bytes() == full


# Limits


def work(item: str) -> str:
    if item == "hang":
        tree = fromstring("<div>" + "<b></b>" * 20_000 + "</div>")
        tree.xpath("//b[count(preceding::b) > count(following::b)]")
    if item == "eat":
        eaten: list[bytearray] = []
        while True:
            eaten.append(bytearray(10_000_000))
    if item == "die":
        os._exit(3)
    if item == "raise":
        raise ValueError
    return item.upper()


def test_an_item_that_breaks_a_limit_ends_alone() -> None:
    pool = Pool(2, Limits(seconds=4.0, memory=600_000_000))
    items = ["a", "hang", "b", "eat", "c", "die", "d", "raise", "e"]
    assert pool.each(work, items) == [
        "A", Lost("timeout", "4 s"), "B", Lost("memory", "over 600000000 bytes"), "C",
        Lost("crashed", "exit code 3"), "D", Lost("failed", "ValueError"), "E",
    ]  # fmt: skip


# WARC files of others


def test_any_warc_file_is_taken_in(workspace: Workspace, tmp_path: Path) -> None:
    story = f"<p>In {{0}} they sing: {SECOND} Nobody in {{0}} had heard of it before.</p>"
    plain = b"".join(
        gzip.decompress(record(f"https://en.example/a/{name}", page(story.format(name)).body))
        for name in ("Esch", "Wiltz", "Vianden")
    )
    village = pages.site_profile(workspace, "village")
    for name, data in {"one.warc": plain, "cut.warc": plain[:-500]}.items():
        (tmp_path / name).write_bytes(data)
        pages.take(workspace, [tmp_path / name] * 2, village)
    counts = extract.update(workspace, engine=Pool(2)).counts
    assert (counts["articles"], counts["rejects.damaged_warc"]) == (7, 3)
    assert counts["rejects.no_text"] == 2  # what six pages have is boilerplate
    with pytest.raises(InputError, match="no page that can be read"):
        pages.take(workspace, [workspace.root / "bitextile.toml"], village)
    with pytest.raises(ProfileError, match="unknown site"):
        pages.site_profile(workspace, "vilage")


def test_many_records_in_one_gzip_member_are_told(tmp_path: Path) -> None:
    one = gzip.decompress(record("https://en.example/a/1", random.Random(0).randbytes(3_000_000)))
    path = tmp_path / "1.warc.gz"
    path.write_bytes(gzip.compress(one * 3, 1))
    first, last = read_records(path)
    assert isinstance(first, Page)
    assert isinstance(last, Damage)
    assert "warcio recompress" in last.reason
