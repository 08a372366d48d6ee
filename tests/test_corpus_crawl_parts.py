from __future__ import annotations

import gzip
import zlib
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import fromstring
from warcio.archiveiterator import ArchiveIterator

from corpus.crawl import Job, sources, warc
from corpus.crawl.frontier import MAX_TRIES, Frontier
from corpus.crawl.sources import Listed, clean_url, read_source, stamp
from corpus.crawl.urls import Bounds, Url
from corpus.crawl.warc import WarcStore, response_record
from corpus.dates import stated_day, url_day
from corpus.errors import InputError, StorageError
from corpus.sites import load_profile
from corpus.warc import LISTED, parse_date

if TYPE_CHECKING:
    from pathlib import Path

MAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
DAY = "2026-03-02T00:00:00Z"
NEWS = 'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'


def page(name: str, **values: object) -> Url:
    url = Url(f"http://a.example/{name}", "a.example", True, 0, None, None)
    return url._replace(**values)


def names(urls: list[Url]) -> list[str]:
    return [url.url.rpartition("/")[2] for url in urls]


@pytest.mark.parametrize(
    ("xml", "listed"),
    [
        (
            f"<urlset {MAP}><url><loc> http://x/1 </loc><lastmod>2026-03-02</lastmod></url>"
            "<url><loc>http://x/2</loc></url></urlset>",
            [
                Listed("http://x/1", DAY, False, DAY),
                Listed("http://x/2", None, False),
            ],
        ),
        (
            f"<urlset {MAP} {NEWS}><url><loc>http://x/1</loc><lastmod>2026-03-09</lastmod><news:news>"
            "<news:publication_date>2026-03-02T23:30:00-02:00</news:publication_date></news:news>"
            "</url></urlset>",
            [Listed("http://x/1", "2026-03-03T01:30:00Z", False, "2026-03-09T00:00:00Z")],
        ),
        (
            f"<sitemapindex {MAP}><sitemap><loc>http://x/s</loc></sitemap></sitemapindex>",
            [Listed("http://x/s", None, True)],
        ),
        (
            "<rss><channel><link>http://x/</link><image><url>http://x/i.png</url></image><item>"
            "<link>http://x/1</link><pubDate>Mon, 02 Mar 2026 06:00:00 +0100</pubDate></item>"
            "</channel></rss>",
            [Listed("http://x/1", "2026-03-02T05:00:00Z", False)],
        ),
        (
            '<feed xmlns="http://www.w3.org/2005/Atom"><entry><link rel="self" href="http://x/f"/>'
            '<link href="http://x/1"/><updated>2026-03-09T00:00:00Z</updated>'
            "<published>2026-03-02T00:00:00Z</published></entry></feed>",
            [Listed("http://x/1", DAY, False, "2026-03-09T00:00:00Z")],
        ),
        # A feed that breaks off is worth what came before.
        (
            "<rss><item><link>http://x/1</link></item><item><link>http",
            [Listed("http://x/1", None, False)],
        ),
    ],
)
def test_sources_of_all_kinds_are_read(xml: str, listed: list[Listed]) -> None:
    assert list(read_source(xml.encode())) == listed
    assert list(read_source(gzip.compress(xml.encode()))) == listed


def test_hostile_sources_are_errors_and_expand_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("http://x/secret")
    entities = (
        f'<!DOCTYPE u [<!ENTITY a "http://x/aaaa"><!ENTITY f SYSTEM "file://{tmp_path}/secret">]>'
        f"<urlset {MAP}><url><loc>&f;</loc></url><url><loc>&a;</loc></url></urlset>"
    )
    assert list(read_source(entities.encode())) == []
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE u [<!ENTITY l0 "x">{lol}]><urlset><url><loc>&l11;</loc></url></urlset>'
    for body in (bomb.encode(), b"<html><p>no</p></html", b"", b"\x1f\x8bdamaged", b"plain text"):
        with pytest.raises(InputError):
            list(read_source(body))
    monkeypatch.setattr(sources, "MAX_SOURCE_BYTES", 1_000)
    with pytest.raises(InputError, match="more than 1000 bytes"):
        list(read_source(gzip.compress(b" " * 100_000)))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-02", "2026-03-02T00:00:00Z"),
        ("2026-03-02T10:00:00.123+01:00", "2026-03-02T09:00:00Z"),
        ("2026-03-02T10:00Z", "2026-03-02T10:00:00Z"),
        ("Mon, 02 Mar 2026 10:00:00 GMT", "2026-03-02T10:00:00Z"),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_dates_become_utc(text: str, utc: str | None) -> None:
    moment = parse_date(text)
    assert (stamp(moment) if moment else None) == utc


def test_dates_in_urls_and_pages_are_found() -> None:
    day = date(2026, 3, 2)
    assert url_day("http://x/2026/03/02/slug/") == day
    assert url_day("http://x/news/2026-03-02-slug") == day
    assert url_day("http://x/a/20260230.html") is None
    assert url_day("http://x/a/2000001.html") is None

    def stated(head: str) -> date | None:
        return stated_day(fromstring(f"<html><head>{head}</head><body>2026-01-01</body></html>"))

    said = '{"@type": "NewsArticle", "datePublished": "2026-03-02T05:00:00Z"}'
    meta = '<meta property="article:published_time" content="2026-03-02T06:00+01:00">'
    assert stated(meta) == stated(f'<script type="application/ld+json">{said}</script>') == day
    assert stated("<title>2026-03-02</title>") is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("b?y=2&x=1&utm_source=z#top", "https://x.lu/a/b?x=1&y=2"),
        ("http://x.lu:80/", "https://x.lu/"),
        ("http://X.lu/é", "https://x.lu/%C3%A9"),
        ("//y.lu", "https://y.lu/"),
        ("../../../etc/passwd", "https://x.lu/etc/passwd"),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("mailto:a@x.lu", None),
        ("https://x.lu@evil.example/", None),
        ("http://[broken", None),
        ("/" + "a" * 3_000, None),
    ],
)
def test_links_become_canonical_urls_or_nothing(link: str, url: str | None) -> None:
    assert clean_url(link, "https://x.lu/a/", "https") == url


@given(st.text(max_size=60))
def test_cleaning_never_fails_and_is_stable(link: str) -> None:
    url = clean_url(link, "https://x.lu/a/", "https")
    assert url is None or (url.startswith("https://") and clean_url(url, "", "https") == url)


def test_the_queue_gives_levels_then_turns_then_articles_then_the_newest(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "f.sqlite")
    frontier.add([
        page("deep", depth=1),
        page("old", dated="2026-01-01"),
        page("new", dated="2026-03-01"),
        page("undated"),
        page("index", article=False, dated="2026-04-01"),
    ])  # fmt: skip
    first = frontier.take("a.example", 1)
    assert names(first) == ["new"]
    frontier.put_back()
    assert frontier.failed(first[0], "HTTP 500", "", passing=True) is False
    level = frontier.take("a.example", 9)
    assert names(level) == ["old", "undated", "index", "new"]
    assert frontier.take("a.example", 9) == []  # the level is not done
    for n, url in enumerate(level):
        frontier.done(url, ("1.warc.gz", n, 1), DAY)
    assert names(frontier.take("a.example", 9)) == ["deep"]
    assert frontier.take("b.example", 9) == []


def test_bounds_set_urls_aside_and_let_them_back(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "f.sqlite")
    frontier.add(
        [page("old", dated="2026-01-31"), page("new", dated="2026-02-01"), page("b", host="b")]
    )
    frontier.plan(Bounds("2026-02-01", None, 2, ["a.example"]))
    frontier.add([page("far", depth=3), page("near", depth=2), page("old2", dated="2025-01-01")])
    assert frontier.states() == {"later": 4, "waiting": 2}
    frontier.add([page("far", depth=1), page("old", listed="2026-02-02", dated="2026-02-02")])
    assert frontier.states() == {"later": 2, "waiting": 4}
    frontier.add([page("c", host="b")])
    assert frontier.states() == {"later": 3, "waiting": 4}
    frontier.plan(Bounds())
    assert frontier.left() == {"a.example": 5, "b": 2}


def test_what_was_in_flight_goes_to_the_end_and_is_never_doubled(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    frontier = Frontier(path)
    frontier.add([page(f"{n}", dated=f"2026-03-0{n}") for n in range(1, 6)])
    taken = frontier.take("a.example", 2)
    assert names(taken) == ["5", "4"]
    frontier.done(taken[0], ("1.warc.gz", 0, 10), DAY)
    frontier.commit()
    frontier.done(taken[1], ("1.warc.gz", 10, 10), DAY)  # not committed: as if killed here
    frontier.close()
    frontier = Frontier(path)
    frontier.start_run()
    frontier.add([page("5")])
    assert frontier.file_sizes() == {"1.warc.gz": 10}
    assert names(frontier.take("a.example", 9)) == ["3", "2", "1", "4"]


def test_a_passing_failure_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "f.sqlite")
    frontier.add([page("1"), page("2")])
    url, other = frontier.take("a.example", 2)
    assert frontier.failed(other, "HTTP 404", "") is True
    for n in range(MAX_TRIES):
        assert frontier.failed(url, "timeout", "30 s", passing=True) is (n == MAX_TRIES - 1)
    assert frontier.urls("failed") == [(url.url, "timeout", "30 s"), (other.url, "HTTP 404", "")]
    frontier.start_run()
    assert names(frontier.take("a.example", 9)) == ["1"]  # a new run, a new try


def record(n: int, listed: str | None = None) -> bytes:
    headers = [("Content-Type", "text/html"), ("Content-Encoding", "br"), ("Set-Cookie", "id=1")]
    body = f"<p>{n} é</p>".encode()
    return response_record(f"http://x/{n}", 200, headers, body, "2026-03-02T00:00:00Z", listed)


def read_warc(path: Path) -> list[tuple[str, bytes]]:
    with path.open("rb") as file:
        return [
            (r.rec_headers.get_header("WARC-Target-URI"), r.content_stream().read())
            for r in ArchiveIterator(file)
        ]


def test_each_record_is_a_member_of_its_own_with_the_right_headers(tmp_path: Path) -> None:
    store = WarcStore(tmp_path, {})
    places = [store.append(record(n, "2026-03-01T00:00:00Z")) for n in range(3)]
    store.sync()
    store.rotate(force=True)
    path = tmp_path / "00001.warc.gz"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    for n, (name, offset, length) in enumerate(places):
        assert name == path.name
        member = path.read_bytes()[offset : offset + length]
        assert zlib.decompress(member, wbits=31).endswith(f"<p>{n} é</p>\r\n\r\n".encode())
    with path.open("rb") as file:
        first = next(iter(ArchiveIterator(file)))
        assert first.rec_headers.get_header(LISTED) == "2026-03-01T00:00:00Z"
        assert first.http_headers.headers == [
            ("Content-Type", "text/html"),
            ("Content-Length", "11"),
        ]


@given(n_committed=st.integers(0, 4), tail=st.binary(max_size=40))
def test_a_cut_tail_is_cut_off_and_the_file_closed(
    tmp_path_factory: pytest.TempPathFactory, n_committed: int, tail: bytes
) -> None:
    folder = tmp_path_factory.mktemp("warc")
    store = WarcStore(folder, {})
    ends = [
        0,
        *(offset + length for _, offset, length in (store.append(record(n)) for n in range(4))),
    ]
    opened = folder / "00001.warc.gz.open"
    opened.write_bytes(opened.read_bytes() + tail)
    WarcStore(folder, {"00001.warc.gz": ends[n_committed]})
    assert not opened.exists()
    closed = folder / "00001.warc.gz"
    assert closed.exists() == (n_committed > 0)
    found = read_warc(closed) if n_committed else []
    assert found == [(f"http://x/{n}", f"<p>{n} é</p>".encode()) for n in range(n_committed)]


def test_a_file_that_lost_its_end_is_told_and_not_filled_up(tmp_path: Path) -> None:
    store, frontier = WarcStore(tmp_path, {}), Frontier(tmp_path / "f.sqlite")
    frontier.add([page("1"), page("2")])
    for n, url in enumerate(frontier.take("a.example", 2)):
        frontier.done(url, store.append(record(n)), DAY)
    opened = tmp_path / "00001.warc.gz.open"
    opened.write_bytes(opened.read_bytes()[:-1])
    store = WarcStore(tmp_path, frontier.file_sizes())
    assert store.sizes() == {"00001.warc.gz": frontier.file_sizes()["00001.warc.gz"] - 1}
    frontier.reopen_lost(store.sizes())
    assert frontier.states() == {"done": 1, "waiting": 1}
    assert names(frontier.take("a.example", 2)) == ["2"]


def test_files_rotate_by_size_and_numbers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warc, "MAX_SIZE", 10)
    store = WarcStore(tmp_path, {})
    for n in range(2):
        store.append(record(n))
        store.rotate()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00001.warc.gz", "00002.warc.gz"]
    assert WarcStore(tmp_path, {}).append(record(3))[:2] == ("00003.warc.gz", 0)


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    store = WarcStore(tmp_path, {})
    store.append(record(1))
    opened = tmp_path / "00001.warc.gz.open"
    opened.unlink()
    opened.symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"No space left on device; make room"):
        store.append(record(2))


def test_a_job_survives_the_way_to_the_child() -> None:
    profile = load_profile("rtl")
    job = Job(root="/x", contact="me@example.org", profile=profile, host_map={"a": "b"}, days=3)
    assert Job.model_validate_json(job.model_dump_json()) == job
    assert job.agent.startswith("Bitextile/")
    assert job.agent.endswith(" (+me@example.org)")
    assert job.delay == 1.0
    assert job.window_start(["2026-03-02T05:00:00Z", None, "2026-01-01"]) == "2026-02-27"
    assert job.window_start([None]) == ""
    assert job.model_copy(update={"all_": True}).window_start(["2026-03-02"]) == ""
