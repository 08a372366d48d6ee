"""Reservations of text and data mining: read, kept as evidence, decisive without a basis."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from lxml import html

from corpus import extract, rights, stages
from corpus.cli import main
from corpus.crawl.warc import response_record
from corpus.errors import InputError
from corpus.extract import Reject, extract_page
from corpus.release.stops import may_publish
from corpus.rights import HostRights, reservation
from corpus.sites import Profile, save_profile
from corpus.tables import ARTICLES, REJECTS
from corpus.warc import RIGHTS, Page, read_records
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

HTML = {"content-type": "text/html"}
PROFILE = Profile.model_validate(
    {
        "name": "village", "title": "Village", "licence": "CC-BY-4.0", "pairs": [],
        "editions": [{"lang": "en", "host": "a.example", "articles": ["^/a/"]}],
    }
)  # fmt: skip
BODY = "<p>The mayor opened the new bridge on Monday morning, after two long years of work.</p>" * 2


def page(head: str = "", host: str = "", number: int = 1, **headers: str) -> Page:
    text = f"<html><head><title>Bridge</title>{head}</head><body>{BODY}</body></html>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(f"https://a.example/a/{number}", text.encode(), headers=HTML | named, rights=host)


def said(head: str = "", host: str = "", **headers: str) -> list[str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return rights.read(named, host, html.fromstring(f"<html><head>{head}</head><p>x</p></html>"))


def tdm(*rules: tuple[str, object] | object) -> bytes:
    named = [
        {"location": r[0], "tdm-reservation": r[1]} if isinstance(r, tuple) else r for r in rules
    ]
    return json.dumps(named).encode()


ROBOTS = "User-agent: *\nDisallow: /search\n\nUser-agent: gptbot\nUser-agent: CCBot # all\n"
ROBOTS += "Disallow: /a/\n\nUser-agent: ClaudeBot\nDisallow: /pay/\n"


@pytest.mark.parametrize(
    ("robots", "path", "statements"),
    [
        (ROBOTS, "/a/1", "robots.txt forbids: CCBot, GPTBot"),
        (ROBOTS, "/b/1", ""),
        (ROBOTS, "/pay/1", "robots.txt forbids: ClaudeBot"),
        # What is closed to all is closed to us too, and says nothing of mining.
        ("User-agent: *\nDisallow: /", "/a/1", ""),
        ("User-agent: Googlebot\nDisallow: /", "/a/1", ""),
        ("User-agent: Google-Extended\nDisallow: /", "/a/1", "robots.txt forbids: Google-Extended"),
    ],
)
def test_agents_that_robots_txt_names_and_bars(robots: str, path: str, statements: str) -> None:
    assert HostRights(robots).of(f"https://a.example{path}") == statements
    assert bool(reservation([statements])) == bool(statements)


@pytest.mark.parametrize(
    ("rules", "reserved"),
    [
        (tdm(("/", 1)), True),
        (tdm(("/a/*.html$", 1)), False),
        (tdm(("/a/", 0), ("/", 1)), False),  # the longest that fits
        (tdm(("/", 0), ("/a/", 1)), True),
        (tdm(("/a/", 0), ("/a/", 1)), True),  # of equal ones the reservation
        (tdm(("/a/\nAllow: /", 1)), False),
        (tdm(7, None, {"location": 3, "tdm-reservation": 1}, ("/", 1)), True),
        (b'{"location": "/"}', False),
        (b"[" * 100_000, False),
        (b"\xff\x00", False),
    ],
)
def test_rules_of_tdmrep_json(rules: bytes, reserved: bool) -> None:
    statements = HostRights("", rules).of("https://a.example/a/1")
    assert bool(reservation(statements.split("; "))) is reserved


def test_a_policy_is_kept_on_one_line_in_ascii() -> None:
    rule = {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://a.example/ü;x\r\nY: z"}
    assert HostRights("", tdm(rule)).of("https://a.example/") == (
        "tdmrep.json tdm-reservation: 1; tdmrep.json tdm-policy: https://a.example/%C3%BC%3Bx Y: z"
    )


@pytest.mark.parametrize(
    ("statements", "evidence"),
    [
        (said('<meta name="ROBOTS" content="NOAI, noimageai">'), "meta robots: NOAI, noimageai"),
        (said('<meta name="robots" content="noindex, nofollow">'), ""),
        (said('<meta name="robots" content="index"><meta name="robots" content="noai">'),
         "meta robots: noai"),
        (said(x_robots_tag="otherbot: noindex, noai"), "x-robots-tag: otherbot: noindex, noai"),
        (said(x_robots_tag="noindex"), ""),
        (said(tdm_reservation="1"), "tdm-reservation: 1"),
        # The page goes before the header, the header before the file.
        (said('<meta name="tdm-reservation" content="0">', tdm_reservation="1"), ""),
        (said('<meta name="tdm-reservation" content="1">', tdm_reservation="0"),
         "meta tdm-reservation: 1"),
        (said(host="tdmrep.json tdm-reservation: 1", tdm_reservation="0"), ""),
        (said(host="tdmrep.json tdm-reservation: 1"), "tdmrep.json tdm-reservation: 1"),
        (said(tdm_reservation="maybe"), ""),
        (said('<meta name="robots" content="noai">', "robots.txt forbids: CCBot",
              tdm_reservation="1"),
         "robots.txt forbids: CCBot; meta robots: noai; tdm-reservation: 1"),
    ],
)  # fmt: skip
def test_what_reserves_a_page(statements: list[str], evidence: str) -> None:
    assert reservation(statements) == evidence


def test_reserved_pages_are_rejects_without_a_basis() -> None:
    made = page('<meta name="robots" content="noindex">', tdm_reservation="1")
    assert extract_page(made, PROFILE) == Reject("reserved", "tdm-reservation: 1")
    for basis in (rights.RESEARCH, "permission:the editor, 3 May"):
        row = extract_page(made, PROFILE, basis=basis)
        assert isinstance(row, dict)
        assert row["rights"] == "tdm-reservation: 1; meta robots: noindex"
        assert row["basis"] == basis
        assert may_publish(row["licence"], row["basis"]) is (basis != rights.RESEARCH)


def test_open_text_needs_no_research_and_a_permission_covers_all() -> None:
    for basis, of_row in ((None, None), ("research", None), ("permission:x", "permission:x")):
        row = extract_page(page(), PROFILE, basis=basis)
        assert isinstance(row, dict)
        assert (row["rights"], row["basis"]) == ("", of_row)


@pytest.mark.parametrize("text", ["", "permission", "permission: ", "Research", "a=b"])
def test_a_basis_says_what_it_is(text: str) -> None:
    with pytest.raises(InputError, match="is no basis"):
        rights.check_basis(text)


def test_of_several_robots_headers_all_count_and_the_crawls_note_is_read(tmp_path: Path) -> None:
    headers = [("X-Robots-Tag", "noindex"), ("X-Robots-Tag", "noai"), (RIGHTS, "from the site")]
    record = response_record("https://a.example/a/1", 200, headers, b"x", "2026-06-01T12:00:00Z",
                             None, "robots.txt forbids: CCBot")  # fmt: skip
    path = tmp_path / "1.warc.gz"
    path.write_bytes(gzip.compress(record))
    [read] = read_records(path)
    assert isinstance(read, Page)
    assert read.headers["x-robots-tag"] == "noindex, noai"
    assert read.rights == "robots.txt forbids: CCBot"


def workspace_of(folder: Path) -> Workspace:
    """Make a workspace of two sites with a reserved page each."""
    ws = Workspace.create(folder, "you@example.org")
    for site in ("village", "town"):
        save_profile(ws.profile(site), PROFILE.model_copy(update={"name": site}))
        made = page(tdm_reservation="1", number=len(site))
        record = response_record(made.url, 200, made.headers.items(), made.body,
                                 "2026-06-01T12:00:00Z", None)  # fmt: skip
        (ws.site_pages(site) / "00001.warc.gz").write_bytes(gzip.compress(record))
    return ws


def bases(ws: Workspace) -> list[tuple[str, str | None]]:
    return stages.scan(extract.STAGE, ws.extracted, ARTICLES).select("site", "basis").rows()


def run(ws: Workspace, *args: str) -> str:
    result = CliRunner().invoke(main, [*args, "-w", str(ws.root)])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_basis_holds_for_later_commands_and_for_its_site_alone(tmp_path: Path) -> None:
    ws = workspace_of(tmp_path / "ws")
    run(ws, "extract")
    rejects = stages.scan(extract.STAGE, ws.extracted, REJECTS)
    assert rejects["reason"].to_list() == ["reserved", "reserved"]
    assert rejects["value"].unique().to_list() == ["tdm-reservation: 1"]
    run(ws, "extract", "--basis", "town=permission:mail of 3 May")
    assert bases(ws) == [("town", "permission:mail of 3 May")]
    run(ws, "segment")
    assert bases(ws) == [("town", "permission:mail of 3 May")]
    run(ws, "extract", "--basis", "none")
    assert bases(ws) == []


def test_a_workspace_can_set_its_basis(tmp_path: Path) -> None:
    ws = workspace_of(tmp_path / "ws")
    with (ws.root / "bitextile.toml").open("a") as file:
        file.write('\n[corpus.extract]\nbasis = "research"\n')
    run(ws, "segment")
    assert {basis for _, basis in bases(ws)} == {"research"}
    run(ws, "extract")
    assert not ws.basis.exists()
