"""What a site says on text and data mining, kept as evidence.

A statement is ``SOURCE: WHAT``, in one line. Read are robots.txt (what it forbids to
the agents that gather text for training), ``/.well-known/tdmrep.json``, the headers
``X-Robots-Tag``, ``tdm-reservation`` and ``tdm-policy``, and meta tags of these names.
Of the TDM Reservation Protocol (W3C, 2024) the header goes before the file, and the
page's own meta tag before both.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from protego import Protego

from corpus.errors import InputError
from corpus.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from corpus.workspace import Workspace

# Agents that gather text to train or to mine: to name one in robots.txt reserves it.
AGENTS = (
    "AI2Bot", "Amazonbot", "anthropic-ai", "Applebot-Extended", "Bytespider", "CCBot",
    "Claude-Web", "ClaudeBot", "cohere-ai", "cohere-training-data-crawler", "DeepSeekBot",
    "Diffbot", "FacebookBot", "Google-Extended", "GPTBot", "img2dataset",
    "meta-externalagent", "omgili", "omgilibot", "PanguBot", "Timpibot", "Webzio-Extended",
)  # fmt: skip
TDMREP = "/.well-known/tdmrep.json"
TDM = ("tdm-reservation", "tdm-policy")
HEADERS = ("x-robots-tag", *TDM)
METAS = ("robots", *TDM)
FORBIDS, NO_AI = "robots.txt forbids", "noai"
RESEARCH, PERMISSION = "research", "permission:"
MAX_BYTES = 500_000  # of tdmrep.json
MAX_RULES, MAX_SAID, MAX_CHARS = 1_000, 20, 500
SAFE = "".join(map(chr, range(0x20, 0x7F))).replace(";", "")
SITE_BASIS = re.compile(r"[a-z0-9-]+=")
AGENT_LINE = re.compile(r"^\s*user-agent\s*:\s*([^\s#]+)", re.IGNORECASE | re.MULTILINE)


class HostRights:
    """What a host says of its pages in robots.txt and tdmrep.json."""

    def __init__(self, robots: str, tdmrep: bytes = b"") -> None:
        """Read both; what is broken says nothing."""
        named = {name.casefold() for name in AGENT_LINE.findall(robots)}
        self._agents = [agent for agent in AGENTS if agent.casefold() in named]
        self._robots: Any = Protego.parse(robots)
        self._rules: list[Mapping[str, Any]] = []
        with suppress(ValueError, RecursionError):
            found = json.loads(tdmrep[:MAX_BYTES] or b"[]")
            if isinstance(found, list):
                self._rules = [rule for rule in found[:MAX_RULES] if _is_rule(rule)]
        # A location is a pattern of robots.txt (RFC 9309): the longest that fits decides.
        self._tdm: list[Any] = [_matcher(rule["location"]) for rule in self._rules]

    def of(self, url: str) -> str:
        """Give the statements on a page, in one line."""
        barred = [agent for agent in self._agents if not self._robots.can_fetch(url, agent)]
        said = [f"{FORBIDS}: {', '.join(barred)}"] if barred else []
        fits = [
            (len(rule["location"]), str(rule[TDM[0]]) == "1", -n)
            for n, (rule, tdm) in enumerate(zip(self._rules, self._tdm, strict=True))
            if not tdm.can_fetch(url, "*")
        ]
        if fits:
            rule = self._rules[-max(fits)[2]]
            said += [f"tdmrep.json {name}: {_plain(rule[name])}" for name in TDM if name in rule]
        return quoted(said)


def read(headers: Mapping[str, str], host: str, tree: Any) -> list[str]:  # noqa: ANN401 - lxml
    """List what is said on a page, the weakest source first.

    Args:
        headers: of the page, names in lower case.
        host: what `HostRights` said when the page was fetched.
        tree: of the page.
    """
    said = host.split("; ") if host else []
    said += [f"{name}: {_plain(headers[name])}" for name in HEADERS if name in headers]
    metas = [
        (name, _plain(node.get("content")))
        for node in tree.iterfind(".//meta[@content]")
        if (name := (node.get("name") or node.get("property") or "").strip().lower()) in METAS
    ]
    said += [f"meta {name}: {what}" for name, what in sorted(set(metas))[:MAX_SAID]]
    return said


def quoted(said: Iterable[str]) -> str:
    """Join statements to one line, as it stands in the column ``rights`` and in WARC."""
    return "; ".join(said)[:MAX_CHARS]


def reservation(said: Iterable[str]) -> str:
    """Quote the statements that reserve a page; "" where none does.

    To be indexed or not is another matter: noindex reserves nothing.
    """
    found, mining = [], ""
    for line in said:
        name, _, what = line.partition(": ")
        words = re.split(r"[\s,:]+", what.lower())
        if name == FORBIDS or (name in ("x-robots-tag", "meta robots") and NO_AI in words):
            found.append(line)
        elif name.endswith(TDM[0]) and what in ("0", "1"):
            mining = line if what == "1" else ""
    return quoted([*found, mining] if mining else found)


def check_basis(text: str) -> tuple[str, str]:
    """Read ``[SITE=]BASIS``; the site is "" where it holds for all.

    Raises:
        InputError: neither research nor a permission with its text.
    """
    site, _, basis = text.partition("=") if SITE_BASIS.match(text) else ("", "", text)
    if basis == RESEARCH or re.fullmatch(rf"{PERMISSION}\s*[^\s].*", basis):
        return site, basis
    raise InputError(
        f"'{basis}' is no basis to keep reserved text; give {RESEARCH} (Directive (EU) 2019/790, "
        f'Article 3) or {PERMISSION}"who gave it, when", for one site SITE={PERMISSION}"..."'
    )


def bases(workspace: Workspace) -> dict[str, str]:
    """Give site → basis, "" for all sites: the last that was given, or ``bitextile.toml``'s."""
    texts = _defaults(workspace)
    if workspace.basis.exists():
        texts = json.loads(workspace.basis.read_text(encoding="utf-8"))
    return dict(check_basis(text) for text in texts)


def remember(workspace: Workspace, texts: Sequence[str]) -> None:
    """Let bases hold for later commands too; ``none`` ends that.

    Raises:
        InputError: one is none.
    """
    kept = [text for text in texts if text != "none" and check_basis(text)]
    if kept == _defaults(workspace):
        workspace.basis.unlink(missing_ok=True)
    else:
        write_text(workspace.basis, json.dumps(kept, ensure_ascii=False))


def _defaults(workspace: Workspace) -> list[str]:
    texts = workspace.defaults.get("corpus", {}).get("extract", {}).get("basis", [])
    return [texts] if isinstance(texts, str) else list(texts)


def basis_of_row(basis: str | None, reserved: str) -> str | None:
    """Say on what an article is kept: research covers what is reserved, a permission all."""
    return basis if reserved or (basis or "").startswith(PERMISSION) else None


def _matcher(location: str) -> Any:  # noqa: ANN401 - Protego is untyped
    return Protego.parse(f"User-agent: *\nDisallow: {_plain(location)}")


def _is_rule(rule: object) -> bool:
    return isinstance(rule, dict) and isinstance(rule.get("location"), str) and TDM[0] in rule


def _plain(text: object) -> str:
    """Give a value on one line, in ASCII, without what splits statements."""
    return quote(" ".join(str(text).split())[:MAX_CHARS], safe=SAFE)
