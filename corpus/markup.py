"""What a page's markup says of it: linked data, title, lead, address."""

from __future__ import annotations

import json
import re
import unicodedata
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from w3lib.url import canonicalize_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.sites import Profile

Tree = Any  # lxml is untyped
TRACKING = re.compile(r"(utm_|mtm_|pk_|at_)|(fbclid|gclid|dclid|msclkid|igshid|mc_cid|mc_eid|ref)$")
ARTICLE_TYPES = re.compile(r"(Article|BlogPosting|Report)\b")
OTHERS = {"itemListElement", "hasPart", "isPartOf", "relatedLink", "mentions", "comment"}
SEEN = "//body//text()[not(parent::script or parent::style or parent::noscript)]"
META_LEADS = ("og:description", "description", "twitter:description", "dc.description")
LOOSE = re.compile(r'"(@type|headline|datePublished|isAccessibleForFree)"\s*:\s*"([^"\\]*)"')
MAX_JSON = 1_000_000  # characters of one JSON-LD script
MIN_LEAD = 30  # characters; below it is a slogan
NOT_LETTERS = re.compile(r"[\W_]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # not the joiners: Bangla needs them


def clean(text: str) -> str:
    """Give a text in NFC, on one line, without control characters or lone surrogates."""
    text = INVISIBLE.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    text = unicodedata.normalize("NFC", CONTROL.sub(" ", text))
    return " ".join(text.split())


def letters(text: str) -> str:
    """Give a text's letters and digits, casefolded, to compare it by."""
    return NOT_LETTERS.sub("", text.casefold())


def linked_data(tree: Tree) -> list[dict[str, Any]]:
    """Read all objects of the page's JSON-LD, but those of other articles in lists."""
    found: list[dict[str, Any]] = []
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        text = (script.text or "")[:MAX_JSON]
        try:
            found += _objects(json.loads(text, strict=False))
        except RecursionError:
            continue
        except ValueError:  # a comma too many, a quote not escaped: what is whole counts
            found.append(dict(reversed(LOOSE.findall(text))))
    return found


def main_article(tree: Tree, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Choose the page's article from its `linked_data`; empty where it has none.

    Of several it is the one whose headline the page has, or the first.
    """
    articles = [o for o in found if ARTICLE_TYPES.search(str(o.get("@type")))]
    dated = [o for o in articles or found if o.get("datePublished")]
    named = titles(tree, {})[1] if len(dated) > 1 else ()
    own = [o for o in dated if clean(first_text(o.get("headline"))).casefold() in named]
    return next(iter(own or dated or articles), {})


def titles(tree: Tree, data: dict[str, Any]) -> tuple[str, set[str]]:
    """Choose the headline, the visible one that the page's head names too; give all, casefolded."""
    metas = [clean(first_text(data.get("headline")))]
    metas += [clean(t) for t in meta(tree, ("og:title",))]
    metas += [clean(t.text_content()) for t in tree.iterfind(".//head/title")]
    visible = [clean(h.text_content()) for h in tree.iter("h1")]
    visible = [h for h in visible if h]
    named = [
        h
        for h in visible
        if any(h.casefold() in m.casefold() and len(h) * 2 > len(m) for m in metas)
    ]
    single = visible if len(visible) == 1 and not metas[0] else []
    best = next((t for t in (*named, *single, *metas) if t), "")
    return best, {t.casefold() for t in (*visible, *metas)}


def lead(tree: Tree, data: dict[str, Any], title: str, text: str) -> str:
    """Choose the summary that the page's head gives, if readers of the page see it.

    None where it is cut, or where the title or the text holds it.
    """
    own, seen = letters(f"{title}{text}"), letters("".join(tree.xpath(SEEN)))
    for found in (first_text(data.get("description")), *meta(tree, META_LEADS)):
        summary = clean(found)
        words = letters(summary)
        if len(summary) >= MIN_LEAD and words not in own and words in seen:
            return "" if summary.endswith(("…", "...")) else summary
    return ""


def canonical_url(url: str) -> str:
    """Drop from a URL what does not name the page: fragment, tracking, default port.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    host = parts.netloc.lower()
    host = host.removesuffix(":443" if parts.scheme.lower() == "https" else ":80")
    query = [(k, v) for k, v in parse_qsl(parts.query, True) if not TRACKING.match(k)]
    kept = parts._replace(netloc=host, query=urlencode(query))
    return str(canonicalize_url(kept.geturl()))


def article_url(url: str, tree: Tree, profile: Profile) -> str:
    """Give the canonical URL; the page's own word counts for its host's articles only."""
    own = canonical_url(url)
    for link in tree.iterfind('.//link[@rel="canonical"]'):
        try:
            named = canonical_url(urljoin(url, link.get("href", "").strip()))
        except ValueError:
            continue
        edition = profile.edition_of(named)
        if urlsplit(named).netloc == urlsplit(own).netloc and edition and edition.is_article(named):
            return named
    return own


def meta(tree: Tree, names: tuple[str, ...]) -> list[str]:
    """Read the meta tags of these names, in the order of the names."""
    said: dict[str, str] = {}
    for node in tree.iterfind(".//meta[@content]"):
        name = node.get("property") or node.get("name") or node.get("itemprop") or ""
        said.setdefault(name.lower(), node.get("content"))
    return [said[name] for name in names if said.get(name)]


def _objects(value: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Walk JSON-LD, but not into lists of other articles."""
    if depth > 6:
        return
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in OTHERS:
                yield from _objects(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value[:100]:
            yield from _objects(inner, depth + 1)


def first_text(value: object) -> str:
    """Read JSON-LD's text where it may be a list: the first one, or nothing."""
    if isinstance(value, list):
        value = value[0] if value else ""
    return unescape(value) if isinstance(value, str) else ""
