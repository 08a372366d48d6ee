from __future__ import annotations

import gzip
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from warcio.archiveiterator import ArchiveIterator

from corpus.crawl import CrawlProgress, CrawlResult, crawl
from corpus.crawl.check import check_profile
from corpus.crawl.command import delays
from corpus.crawl.frontier import Frontier
from corpus.errors import OfflineError, ProfileError, StorageError, WorkspaceError
from corpus.rights import TDMREP
from corpus.sample.documents import load_documents
from corpus.sample.render import Newsroom, render
from corpus.sample.server import NewsroomServer, Page
from corpus.sites import Profile, builtin_profiles, load_profile
from corpus.warc import LISTED, Damage, read_records
from corpus.warc import Page as StoredPage
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

HOST = "a.example"
Records = dict[str, tuple[bytes, str | None]]


def new_workspace(path: Path) -> Workspace:
    return Workspace.create(path, "you@example.org")


def records(workspace: Workspace, site: str) -> Records:
    """URL → (body, listed) of all closed WARC files; a URL that is there twice fails."""
    found: Records = {}
    for path in sorted(workspace.site_pages(site).glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                url = record.rec_headers.get_header("WARC-Target-URI")
                assert url not in found
                listed = record.rec_headers.get_header(LISTED)
                found[url] = (record.content_stream().read(), listed)
    return found


def failures(workspace: Workspace, site: str = "tiny") -> dict[str, tuple[str | None, str | None]]:
    frontier = Frontier(workspace.frontier(site))
    rows = frontier.urls("failed")
    frontier.close()
    return {url.removeprefix(f"http://{HOST}"): (reason, value) for url, reason, value in rows}


def tiny(**values: object) -> Profile:
    """Make the profile of one small English site; articles are /a/NUMBER."""
    edition = {"lang": "en", "host": HOST, "articles": [r"^/a/\d+$"]}
    known = {"name": "tiny", "title": "Tiny", "licence": "CC0-1.0", "scheme": "http", "delay": 0}
    return Profile.model_validate(known | {"pairs": [], "editions": [edition]} | values)


def html(*links: str, head: str = "") -> Page:
    body = "".join(f'<a href="{link}">x</a>' for link in links)
    return Page(f"<html><head>{head}</head><body>{body}</body></html>".encode())


def serve(pages: dict[str, Page], **other_hosts: dict[str, Page]) -> NewsroomServer:
    hosts = {HOST: pages} | {f"{name}.example": of for name, of in other_hosts.items()}
    return NewsroomServer({(h, path): page for h, of in hosts.items() for path, page in of.items()})


def paths(server: NewsroomServer) -> list[str]:
    """Give what was asked for, without what every crawl asks for."""
    usual = ("/robots.txt", TDMREP, "/sitemap.xml")
    return [seen.path for seen in server.log if seen.path not in usual]


def sitemap(**dates: str) -> Page:
    urls = "".join(
        f"<url><loc>http://{HOST}/a/{name[1:]}</loc><lastmod>{date}</lastmod></url>"
        for name, date in dates.items()
    )
    return Page(f"<urlset>{urls}</urlset>".encode(), "application/xml")


def small_newsroom(site: str) -> Newsroom:
    return render(load_documents()[:9], load_profile(site))


@pytest.mark.slow
@pytest.mark.parametrize("site", builtin_profiles())
def test_every_profile_crawls_all_its_documents_and_then_only_sources(
    site: str, tmp_path: Path
) -> None:
    room, workspace, profile = small_newsroom(site), new_workspace(tmp_path), load_profile(site)
    told: list[CrawlProgress] = []
    with NewsroomServer(room.pages) as server:
        first = crawl(workspace, profile, host_map=server.host_map, progress=told.append)
        asked = [(seen.host, seen.path) for seen in server.log]
        server.log.clear()
        found = records(workspace, site)
        files = {p: p.stat().st_mtime_ns for p in workspace.site_pages(site).glob("*.warc.gz")}
        second = crawl(workspace, profile, host_map=server.host_map)
        again = {(seen.host, seen.path) for seen in server.log}
    for article in room.gold.values():
        edition = profile.edition_of(article.url)
        assert edition is not None
        body, listed = found[article.url]
        assert body == room.pages[edition.host, article.path].body
        assert listed == f"{article.published:%Y-%m-%dT%H:%M:%SZ}"
    assert (first.n_articles, first.n_pages) == (len(room.gold), len(found))
    assert len(asked) == len(set(asked)) == first.n_pages + first.n_sources
    assert first.stopped == "finished"
    assert told[-1].n_done == told[-1].n_total == first.n_pages + first.n_failed
    # The second run asks for robots, sitemaps and feeds alone, and writes no page.
    feeds = {(e.host, f) for e in profile.editions for f in e.feeds}
    told = ("/robots.txt", "/sitemap", TDMREP)
    rest = {p for p in again - feeds if not p[1].startswith(told)}
    assert rest == set()
    assert feeds <= again
    assert (second.n_pages, second.n_failed, second.n_sources) == (0, 0, first.n_sources)
    assert files == {p: p.stat().st_mtime_ns for p in workspace.site_pages(site).glob("*.warc.gz*")}
    assert load_profile(str(workspace.profile(site))) == profile


def test_each_request_names_the_project_and_the_contact_and_no_cookie_is_kept(
    tmp_path: Path,
) -> None:
    cookie = (("Set-Cookie", "id=chocolate"),)
    pages = {"/": Page(html("/a/1").body, headers=cookie), "/a/1": html()}
    with serve(pages) as server:
        crawl(new_workspace(tmp_path), tiny(), host_map=server.host_map)
    assert {seen.agent for seen in server.log} == {"Bitextile/0.1.0 (+you@example.org)"}
    assert b"chocolate" not in b"".join(
        gzip.decompress(p.read_bytes()) for p in tmp_path.rglob("*.warc.gz")
    )


def test_robots_are_obeyed_and_a_lifted_ban_is_noticed(tmp_path: Path) -> None:
    rules = "User-agent: *\nDisallow: /\n\nUser-agent: bitextile\nDisallow: /a/2\n"
    pages = {
        "/robots.txt": Page(rules.encode()),
        "/": html("/a/1", "/a/2"),
        "/a/1": html(),
        "/a/2": html(),
    }
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        result = crawl(workspace, tiny(), host_map=server.host_map)
        assert paths(server) == ["/", "/a/1"]
        assert result.reasons == {"robots": 1}
        assert failures(workspace) == {"/a/2": ("robots", "disallowed by robots.txt")}
        server.pages = server.pages | {(HOST, "/robots.txt"): Page(b"")}
        assert crawl(workspace, tiny(), host_map=server.host_map).n_articles == 1
        assert paths(server) == ["/", "/a/1", "/a/2"]


@pytest.mark.slow
def test_a_host_whose_robots_fail_rests_and_a_site_without_answer_is_an_error(
    tmp_path: Path,
) -> None:
    editions = [
        {"lang": lang, "host": host, "articles": ["^/a/"]}
        for lang, host in (("en", HOST), ("fr", "b.example"))
    ]
    down = {"/robots.txt": Page(b"", status=503), "/": html("/a/1")}
    with serve({"/": html("/a/1"), "/a/1": html()}, b=down) as server:
        result = crawl(new_workspace(tmp_path), tiny(editions=editions), host_map=server.host_map)
        assert [s.path for s in server.log if s.host == "b.example"] == ["/robots.txt"]
        assert result.n_articles == 1
        assert result.failed_sources == [
            ("http://b.example/robots.txt", "HTTP 503: host not crawled")
        ]
        address = server.host_map
    with pytest.raises(OfflineError, match=r"cannot reach http://[ab]\.example/robots.txt"):
        crawl(new_workspace(tmp_path / "2"), tiny(editions=editions), host_map=address)


def test_nothing_outside_the_profile_is_fetched(tmp_path: Path) -> None:
    links = (
        "http://evil.example/a/1", "//evil.example/a/2", f"http://{HOST}@evil.example/a/3",
        f"http://{HOST}:81/a/4", "file:///etc/passwd", "ftp://a.example/a/5", "javascript:x()",
        "http://127.0.0.1/a/6", "http://[::1", "/photo.jpg", "/a/7",
    )  # fmt: skip
    index = Page(
        b"<sitemapindex><sitemap><loc>http://evil.example/s.xml</loc></sitemap></sitemapindex>"
    )
    evil = {"/a/1": html(), "/s.xml": sitemap(a8="2026-03-02")}
    pages = {"/": html(*links), "/a/7": Page(b"", status=302, headers=(("Location", links[0]),))}
    workspace = new_workspace(tmp_path)
    with serve(pages | {"/sitemap.xml": index}, evil=evil) as server:
        crawl(workspace, tiny(), host_map=server.host_map)
    assert {(seen.host, seen.path) for seen in server.log} == {
        (HOST, path) for path in ("/robots.txt", TDMREP, "/sitemap.xml", "/", "/a/7")
    }
    assert failures(workspace) == {"/a/7": ("redirect", "http://evil.example/a/1")}


@pytest.mark.slow
def test_every_page_that_is_lost_has_its_reason(tmp_path: Path) -> None:
    def to(path: str) -> Page:
        return Page(b"", status=301, headers=(("Location", path),))

    big = b"<p>" + b"x" * 6_000_000
    pages = {
        "/": html(*(f"/a/{n}" for n in range(1, 10))),
        "/a/1": to("/a/20"), "/a/20": html(),
        "/a/2": to("/a/3"), "/a/3": to("/a/2"),
        "/a/5": Page(b"", status=500),
        "/a/6": Page(big),
        "/a/7": Page(gzip.compress(big), headers=(("Content-Encoding", "gzip"),)),
        "/a/8": Page(b"%PDF-1.4", "application/pdf"),
        "/a/9": Page(gzip.compress(b"<p>good</p>"), headers=(("Content-Encoding", "gzip"),)),
    }  # fmt: skip
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        result = crawl(workspace, tiny(), host_map=server.host_map)
        assert paths(server).count("/a/5") == 3
        server.log.clear()
        server.pages = server.pages | {(HOST, "/a/5"): html()}
        assert crawl(workspace, tiny(), host_map=server.host_map).n_articles == 1
        assert paths(server) == ["/a/5"]  # only what failed for a passing reason
    assert result.reasons == {
        "redirect": 3, "HTTP 404": 1, "HTTP 500": 1, "too large": 2, "not HTML": 1,
    }  # fmt: skip
    lost = failures(workspace)
    assert {path: reason for path, (reason, _) in lost.items()} == {
        "/a/1": "redirect", "/a/2": "redirect", "/a/3": "redirect", "/a/4": "HTTP 404",
        "/a/6": "too large", "/a/7": "too large", "/a/8": "not HTML",
    }  # fmt: skip
    assert lost["/a/1"][1] == f"http://{HOST}/a/20"
    assert lost["/a/8"][1] == "application/pdf"
    kept = {
        url.removeprefix(f"http://{HOST}"): b for url, (b, _) in records(workspace, "tiny").items()
    }
    assert kept.keys() == {"/", "/a/5", "/a/9", "/a/20"}
    assert kept["/a/9"] == b"<p>good</p>"


@pytest.mark.slow
def test_fifty_pages_without_an_article_name_the_pattern_and_a_cure_goes_on(tmp_path: Path) -> None:
    names = [f"/story/{n}" for n in range(60)]
    pages = {"/": html(*names)} | {name: html() for name in names}
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        with pytest.raises(
            ProfileError, match=r"50 pages and no article .*'\^/a/\\\\d\+\$' of a\.ex"
        ):
            crawl(workspace, tiny(), host_map=server.host_map)
        assert 50 <= len(paths(server)) < 61
        edition = {"lang": "en", "host": HOST, "articles": [r"^/story/\d+$"]}
        crawl(workspace, tiny(editions=[edition]), host_map=server.host_map)
        assert set(paths(server)) == {"/", *names}
    assert len(records(workspace, "tiny")) == 61


@pytest.mark.slow
def test_the_window_takes_the_newest_days_and_all_takes_the_rest(tmp_path: Path) -> None:
    old = '<meta property="article:published_time" content="2025-01-01T00:00:00Z">'
    pages = {
        "/sitemap.xml": sitemap(a1="2026-03-01", a2="2026-02-20", a3="2026-01-01", a4="2199-01-01"),
        "/": html("/a/5", "/about"),
        "/about": html("/a/9"),
        "/a/9": html("/a/10"),
        "/a/10": html(),
        "/a/1": html("/a/3", "/a/6"),
        "/a/6": html("/a/7", head=old),  # older than the window: its links are not for now
        **{f"/a/{n}": html() for n in (2, 3, 4, 5, 7)},
    }
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        result = crawl(workspace, tiny(), host_map=server.host_map, days=20)
        # The nearest level first, in it the newest; a date in the far future bounds nothing.
        assert set(paths(server)[:4]) == {"/a/4", "/a/1", "/a/2", "/"}
        assert set(paths(server)[4:7]) == {"/a/5", "/a/6", "/about"}
        assert paths(server)[7:] == ["/a/9"]
        assert result.n_later == 3
        server.log.clear()
        crawl(workspace, tiny(), host_map=server.host_map, all_=True)
        assert set(paths(server)) == {"/a/3", "/a/7", "/a/10"}
    assert records(workspace, "tiny")[f"http://{HOST}/a/2"][1] == "2026-02-20T00:00:00Z"


def test_links_are_not_followed_where_the_profile_says_so(tmp_path: Path) -> None:
    pages = {"/sitemap.xml": sitemap(a1="2026-03-01"), "/": html("/a/2"), "/a/1": html("/a/2")}
    with serve(pages | {"/a/2": html()}) as server:
        crawl(new_workspace(tmp_path), tiny(links=False), host_map=server.host_map)
    assert paths(server) == ["/a/1"]


def test_sources_that_have_moved_are_followed_within_the_site(tmp_path: Path) -> None:
    def to(url: str) -> Page:
        return Page(b"", status=301, headers=(("Location", url),))

    edition = {"lang": "en", "host": HOST, "articles": [r"^/a/\d+$"], "feeds": ["/rss", "/gone"]}
    pages = {
        "/robots.txt": to("/rules.txt"),
        "/rules.txt": Page(b"User-agent: *\nDisallow: /a/2\nSitemap: /old.xml\n"),
        "/old.xml": to("/new.xml"),
        "/new.xml": sitemap(a1="2026-03-01", a2="2026-03-01"),
        "/rss": to("http://evil.example/rss"),
        "/a/1": html(),
    }
    with serve(pages, evil={"/rss": sitemap(a3="2026-03-01")}) as server:
        profile = tiny(links=False, editions=[edition])
        result = crawl(new_workspace(tmp_path), profile, host_map=server.host_map)
    assert [seen.path for seen in server.log if seen.path.startswith("/a/")] == ["/a/1"]
    assert not [seen for seen in server.log if seen.host == "evil.example"]
    assert sorted(result.failed_sources) == [
        (f"http://{HOST}/gone", "HTTP 404"),
        (f"http://{HOST}/rss", "redirects to http://evil.example/rss"),
    ]


def test_addresses_that_are_none_end_nothing(tmp_path: Path) -> None:
    index = "<sitemapindex>{}</sitemapindex>".format(
        "".join(f"<sitemap><loc>{loc}</loc></sitemap>" for loc in ("http://[x", "/good.xml"))
    )
    pages = {
        "/robots.txt": Page(b"Sitemap: http://[y\nSitemap: /index.xml\n"),
        "/index.xml": Page(index.encode()),
        "/good.xml": sitemap(a1="2026-03-01", a2="2026-03-01"),
        "/": html("/a/2", head='<base href="http://[z">'),
        "/a/1": Page(b"", status=301, headers=(("Location", "http://[w"),)),
        "/a/2": html(head='<meta http-equiv="refresh" content="0; url=http://evil.example/">'),
    }
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        result = crawl(workspace, tiny(), host_map=server.host_map)
    assert (result.n_pages, result.n_articles, result.failed_sources) == (2, 1, [])
    assert failures(workspace) == {"/a/1": ("redirect", "http://[w")}


@pytest.mark.slow
def test_a_full_disk_stops_the_crawl_and_room_lets_it_end(tmp_path: Path) -> None:
    draw = random.Random(3)
    pages = {"/": html(*(f"/a/{n}" for n in range(40)))}
    pages |= {f"/a/{n}": html(head=draw.randbytes(10_000).hex()) for n in range(40)}
    workspace = new_workspace(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serve(pages) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))  # the child inherits it
        try:
            with pytest.raises(StorageError, match=r"cannot write .*\.warc\.gz.*make room"):
                crawl(workspace, tiny(), host_map=server.host_map)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        crawl(workspace, tiny(), host_map=server.host_map)
    kept = records(workspace, "tiny")
    assert {url.removeprefix(f"http://{HOST}"): body for url, (body, _) in kept.items()} == {
        path: page.body for path, page in pages.items()
    }


def test_limit_and_crawl_delay_bound_a_run(tmp_path: Path) -> None:
    rules = Page(b"User-agent: *\nCrawl-delay: 0.3\n")
    pages = {"/robots.txt": rules, "/": html(*(f"/a/{n}" for n in range(9)))}
    with serve(pages | {f"/a/{n}": html() for n in range(9)}) as server:
        workspace = new_workspace(tmp_path)
        result = crawl(workspace, tiny(), host_map=server.host_map, limit=4)
    assert (result.stopped, result.n_pages) == ("limit", 4)
    times = [seen.at for seen in server.log]
    gaps = [later - earlier for earlier, later in pairwise(times[1:])]
    assert len(gaps) == 5  # tdmrep.json, the sitemap and four pages
    assert min(gaps) > 0.25
    frontier = Frontier(workspace.frontier("tiny"))
    assert frontier.states() == {"done": 4, "waiting": 6}


@pytest.mark.parametrize(("delay", "rules"), [(0.3, ""), (0.1, "User-agent: *\nCrawl-delay: 0.3")])
def test_a_site_that_is_not_mapped_gets_the_longer_delay(
    delay: float, rules: str, tmp_path: Path
) -> None:
    with serve({}) as server:
        host = server.address
        edition = {"lang": "en", "host": host, "articles": [r"^/a/\d+$"]}
        pages = {"/": html(*(f"/a/{n}" for n in range(4)))} | {f"/a/{n}": html() for n in range(4)}
        pages["/robots.txt"] = Page(rules.encode())
        server.pages = {(host, path): page for path, page in pages.items()}
        result = crawl(new_workspace(tmp_path), tiny(editions=[edition], delay=delay))
    assert result.n_articles == 4
    gaps = [b.at - a.at for a, b in pairwise(server.log)]
    assert gaps[0] > delay - 0.05  # before the rules were known
    assert min(gaps[1:]) > 0.25


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, ""),
        (90.0, ", about 90 seconds of delays"),
        (600.0, ", about 10 minutes of delays"),
    ],
)
def test_what_the_delays_take_is_told_in_the_fitting_unit(seconds: float, told: str) -> None:
    assert delays(seconds) == told


DRIVER = """
    import json, sys
    from pathlib import Path
    from corpus.crawl import crawl
    from corpus.sites import load_profile
    from corpus.workspace import Workspace
    root, profile, host_map = sys.argv[1:]
    try:
        crawl(Workspace.open(root), load_profile(profile), host_map=json.loads(host_map))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def drive(workspace: Workspace, profile: Path, host_map: str) -> subprocess.Popen[bytes]:
    """Crawl in a process that can be killed."""
    code = [sys.executable, "-c", textwrap.dedent(DRIVER)]
    house = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [*code, str(workspace.root), str(profile), host_map],
        env=os.environ | {"PYTHONPATH": house},
    )


@pytest.mark.slow
def test_an_interrupt_keeps_what_was_fetched_and_the_next_run_ends_it(tmp_path: Path) -> None:
    names = [f"/a/{n}" for n in range(300)]
    profile_file = tmp_path / "tiny.json"
    profile_file.write_text(tiny().model_dump_json())
    workspace = new_workspace(tmp_path)
    server = serve({"/": html(*names)} | {name: html() for name in names})
    server.latency = 0.01
    with server:
        host_map = f'{{"{HOST}": "{server.address}"}}'
        driver = drive(workspace, profile_file, host_map)
        while len(server.log) < 60:
            time.sleep(0.01)
        server.latency = 1.0  # so that it is not over before the interrupt
        with pytest.raises(WorkspaceError, match="'crawl tiny' of this workspace is in use"):
            crawl(workspace, tiny(), host_map=server.host_map)
        driver.send_signal(signal.SIGINT)
        assert driver.wait(60) == 130
        server.latency = 0.0
        kept = records(workspace, "tiny")
        assert 40 < len(kept) < 301
        assert not list(workspace.site_pages("tiny").glob("*.open"))
        assert len(paths(server)) == len(kept)  # what was in flight was waited for
        crawl(workspace, tiny(), host_map=server.host_map)
        assert len(records(workspace, "tiny")) == len(paths(server)) == 301


def test_a_crawl_runs_in_any_thread_and_beside_another(tmp_path: Path) -> None:
    results: dict[str, CrawlResult] = {}

    def one(name: str) -> None:
        with serve({"/": html("/a/1"), "/a/1": html()}) as server:
            workspace = new_workspace(tmp_path / name)
            results[name] = crawl(workspace, tiny(), host_map=server.host_map)

    threads = [threading.Thread(target=one, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: result.n_articles for name, result in results.items()} == {"x": 1, "y": 1}


@pytest.mark.slow
def test_check_tells_what_a_profile_understands_live_and_from_pages(tmp_path: Path) -> None:
    room, profile = small_newsroom("rtl"), load_profile("rtl")
    with NewsroomServer(room.pages) as server:
        live = check_profile(profile, live=True, contact="me@example.org", host_map=server.host_map)
        assert len(server.log) < 40
        crawl(new_workspace(tmp_path), profile, host_map=server.host_map)
    stored = check_profile(profile, pages_dir=Workspace.open(tmp_path).site_pages("rtl"))
    for checks in (live, stored):
        assert [check.lang for check in checks] == ["lb", "en", "fr"]
        for check in checks:
            articles = {a.url: a.title for a in room.gold.values() if a.lang == check.lang}
            assert check.n_articles == len(articles)
            assert len(check.titles) == min(3, len(articles))
            assert all(title.startswith(articles[url]) for url, title in check.titles.items())
            assert check.is_understood
    wrong = profile.model_copy(
        update={"editions": [e.model_copy(update={"articles": ["^/x/"]}) for e in profile.editions]}
    )
    with NewsroomServer(room.pages) as server:
        broken = check_profile(wrong, live=True, contact="me@example.org", host_map=server.host_map)
    assert [(c.n_articles, c.is_understood) for c in broken] == [(0, False)] * 3
    assert set(broken[0].others) >= {a.url for a in room.gold.values() if a.lang == "lb"}
    offline = check_profile(profile)
    assert [(c.host, c.n_listed) for c in offline] == [(e.host, 0) for e in profile.editions]


@pytest.mark.slow
def test_pages_whose_files_are_gone_or_cut_are_fetched_again(tmp_path: Path) -> None:
    links = [f"/a/{n}" for n in range(5)]
    pages = {"/": html(*links)} | {link: html(head=link) for link in links}
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        crawl(workspace, tiny(), host_map=server.host_map, limit=3)
        crawl(workspace, tiny(), host_map=server.host_map)
        whole = records(workspace, "tiny")
        assert len(whole) == 6
        first, second = sorted(workspace.site_pages("tiny").glob("*.warc.gz"))
        first.unlink()
        assert crawl(workspace, tiny(), host_map=server.host_map).n_pages == 3
        assert records(workspace, "tiny") == whole
        os.truncate(second, second.stat().st_size - 10)
        assert crawl(workspace, tiny(), host_map=server.host_map).n_pages == 1
        assert crawl(workspace, tiny(), host_map=server.host_map).n_pages == 0
    found = [
        page for path in sorted(second.parent.glob("*.warc.gz")) for page in read_records(path)
    ]
    assert {p.url: p.body for p in found if isinstance(p, StoredPage)} == {
        url: body for url, (body, _) in whole.items()
    }
    assert [type(p) for p in found].count(Damage) == 1


def test_a_crawl_into_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path)
    (tmp_path / "pages").touch()
    with pytest.raises(StorageError, match=r"cannot .*pages.*check the permissions"):
        crawl(workspace, tiny())
