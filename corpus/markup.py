"""What a page's markup says: blocks of text, title, lead, address, rights."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from copy import deepcopy
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from lxml.etree import iterwalk
from w3lib.url import canonicalize_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.sites import Profile
    from corpus.warc import Page

Tree = Any  # lxml is untyped
BLOCKS = {"body", "p", "head", "item", "list", "quote", "code", "table", "row", "cell"}
MOSTLY_LINKS = 0.8  # of a block's characters: a menu, a teaser
REPEATED = 3  # times on one page: a placeholder, a notice
CAPTION = re.compile(r"caption|credit|copyright", re.IGNORECASE)  # in a class
MAX_CAPTION = 400  # characters
MAX_CARD = 800
LABEL = re.compile(r"[\W_]*[^.!?।:]{1,30}[:–—]\W*")  # "Read also:", in any language
TRACKING = re.compile(r"(utm_|mtm_|pk_|at_)|(fbclid|gclid|dclid|msclkid|igshid|mc_cid|mc_eid|ref)$")
ARTICLE_TYPES = re.compile(r"(Article|BlogPosting|Report)\b")
OTHERS = {"itemListElement", "hasPart", "isPartOf", "relatedLink", "mentions", "comment"}
SEEN = "//body//text()[not(parent::script or parent::style or parent::noscript)]"
META_LEADS = ("og:description", "description", "twitter:description", "dc.description")
MAX_JSON = 1_000_000  # characters of one JSON-LD script
MIN_LEAD = 30  # characters; below it is a slogan
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # not the joiners: Bangla needs them


def clean(text: str) -> str:
    """Give a text in NFC, on one line, without control characters or lone surrogates."""
    text = INVISIBLE.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    text = unicodedata.normalize("NFC", CONTROL.sub(" ", text))
    return " ".join(text.split())


def without_cards(tree: Tree, title: str) -> Tree:
    """Copy a page without captions and without the cards of other articles.

    A card is a short ``article`` whose heading is a link; one with the page's own
    title stays.
    """
    copied = deepcopy(tree)
    for node in list(copied.iter("div", "span", "p", "small", "article")):
        words = len(node.text_content())
        if node.getparent() is None or words > (MAX_CARD if node.tag == "article" else MAX_CAPTION):
            continue
        if (
            _is_card(node, title)
            if node.tag == "article"
            else CAPTION.search(node.get("class", ""))
        ):
            node.drop_tree()
    return copied


def blocks(body: Tree, title: str) -> list[str]:
    """Split trafilatura's tree into paragraphs.

    Left out are the title, those that are mostly links, those that stand there three
    times, headings that nothing follows, and stray labels of one or two words at
    either end.
    """
    found: list[tuple[str, str]] = []
    for kind, text, plain in _pieces(body):
        linked = 1 - len(plain) / max(len(text), 1)
        is_new = text.casefold() not in ("", title.casefold())
        if is_new and linked < MOSTLY_LINKS and not (linked and LABEL.fullmatch(plain)):
            found.append((kind, text))
    while found and (found[-1][0] == "head" or _is_label(found[-1][1])):
        found.pop()
    first = next((n for n, (_, text) in enumerate(found) if not _is_label(text)), 0)
    times = Counter(text for _, text in found)
    return [text for _, text in found[first:] if times[text] < REPEATED]


def json_ld(tree: Tree) -> dict[str, Any]:
    """Read the page's article from its JSON-LD; empty where it has none."""
    found: list[dict[str, Any]] = []
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        try:
            found += _objects(json.loads((script.text or "")[:MAX_JSON], strict=False))
        except (ValueError, RecursionError):
            continue
    articles = [o for o in found if ARTICLE_TYPES.search(str(o.get("@type")))]
    dated = [o for o in articles or found if o.get("datePublished")]
    return next(iter(dated or articles), {})


def title(tree: Tree, data: dict[str, Any]) -> str:
    """Choose the headline: the visible one that the page's head names too."""
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
    return next((t for t in (*named, *single, *metas) if t), "")


def lead(tree: Tree, data: dict[str, Any], title: str, text: str) -> str:
    """Choose the summary that the page's head gives, if readers of the page see it.

    None where it is cut, or where the title or the text holds it.
    """
    own = f"{title}\n{text}".casefold()
    seen = clean("".join(tree.xpath(SEEN))).casefold()
    for found in (first_text(data.get("description")), *meta(tree, META_LEADS)):
        summary = clean(found)
        words = summary.rstrip(".… ").casefold()
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


def rights(page: Page, tree: Tree) -> str:
    """Quote what headers and meta say on robots and on text and data mining."""
    names = ("tdm-reservation", "tdm-policy")
    said = [f"{n}: {page.headers[n]}" for n in ("x-robots-tag", *names) if n in page.headers]
    said += [f"meta {n}: {v}" for n in ("robots", *names) for v in meta(tree, (n,))]
    return clean("; ".join(said))[:500]


def _pieces(body: Tree) -> Iterator[tuple[str, str, str]]:
    """Walk the tree: each block's kind, its text, and its text outside of links."""
    kind, depth = "", 0
    texts: list[str] = []
    plain: list[str] = []
    for event, node in iterwalk(body, events=("start", "end")):
        if node.tag in BLOCKS:
            yield kind, clean("".join(texts)), clean("".join(plain))
            texts, plain = [], []
            kind = node.tag if event == "start" else ""
        depth -= event == "end" and node.tag == "ref"
        text = (node.text if event == "start" else node.tail) or ""
        depth += event == "start" and node.tag == "ref"
        text = f" {text}" if node.tag == "lb" else text
        texts.append(text)
        plain.append("" if depth else text)


def _is_card(node: Tree, title: str) -> bool:
    for heading in islice(node.iter("h1", "h2", "h3", "h4"), 1):
        words = clean(heading.text_content())
        links = [*heading.iterancestors("a"), *heading.iter("a")]
        names = {clean(link.text_content()) for link in links if link.get("href")}
        return words in names - {"", title}
    return False


def _is_label(text: str) -> bool:
    return len(text) <= 30 and len(text.split()) <= 2 and text[-1:] not in '.!?…।॥。»”"'


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
