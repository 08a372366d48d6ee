"""What a page's markup says: blocks of text, title, lead, address."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from copy import deepcopy
from hashlib import blake2b
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from lxml.etree import Element, iterwalk
from w3lib.url import canonicalize_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from corpus.sites import Profile

Tree = Any  # lxml is untyped
# trafilatura's elements and HTML's: what begins a block, links, ends a line.
BLOCKS = {"body", "p", "head", "item", "list", "quote", "code", "table", "row", "cell"}
BLOCKS |= {"h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol", "dl", "dt", "dd", "td", "tr"}
BLOCKS |= {"div", "section", "article", "blockquote", "pre", "main", "header", "footer"}
HEADS = {"head", "h1", "h2", "h3", "h4", "h5", "h6"}
LINKS = {"ref", "a"}
NOT_TEXT = (
    *("script", "style", "noscript", "template", "iframe"),
    *("figure", "form", "button", "aside", "nav"),
)
UNITS = ("p", "li", "h2", "h3", "h4", "h5", "h6", "div", "section", "aside", "blockquote", "td")
MAX_UNIT = 1_500  # characters
MOSTLY_LINKS = 0.8  # of a block's characters: a menu, a teaser
REPEATED = 3  # times on one page: a placeholder, a notice
NOISE = re.compile(  # in a class
    r"caption|credit|copyright|newsletter|visually-?hidden|screen-?reader|pull-?quote|"
    r"(?<![a-z])(ads?|advert\w*|sr-only|author-?(bio|info|box|data)|by-?line|authors?|meta|shar\w+|"
    r"social\w*|tags?|topics?|more-(topic|on|from|to)\w*|read-more|promo\w*|subscri\w*)(?![a-z])",
    re.IGNORECASE,
)
MAX_NOISE = 400  # characters
MAX_CARD = 800
SHINGLE = 8  # letters
MIN_PULLED = 20  # shingles
NEARLY_ALL = 0.9
MAX_NAME = 120  # characters of who said it
FINAL = '.!?…।॥。»”"'
PROMPT = re.compile(  # to let content of others be shown, in a short paragraph
    r"(?=.{,400}$).*(\bextern\w* ((media|redakt\w*) )?(inhalt|content)|redaktionelle[nr]? inhalt|"
    r"drittplattform|third[- ]party content|contenus? (externe|tiers)|to (view|see) this content)",
    re.IGNORECASE,
)
LABEL = re.compile(r"[\W_]*[^.!?।:]{1,30}[:–—]\W*")  # "Read also:", in any language
TRACKING = re.compile(r"(utm_|mtm_|pk_|at_)|(fbclid|gclid|dclid|msclkid|igshid|mc_cid|mc_eid|ref)$")
ARTICLE_TYPES = re.compile(r"(Article|BlogPosting|Report)\b")
OTHERS = {"itemListElement", "hasPart", "isPartOf", "relatedLink", "mentions", "comment"}
SEEN = "//body//text()[not(parent::script or parent::style or parent::noscript)]"
META_LEADS = ("og:description", "description", "twitter:description", "dc.description")
LOOSE = re.compile(r'"(@type|headline|datePublished|isAccessibleForFree)"\s*:\s*"([^"\\]*)"')
MAX_JSON = 1_000_000  # characters of one JSON-LD script
MIN_LEAD = 30  # characters; below it is a slogan
NOT_LETTERS = re.compile(r"[\W_]+")
DIGITS = re.compile(r"\d+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # not the joiners: Bangla needs them


def clean(text: str) -> str:
    """Give a text in NFC, on one line, without control characters or lone surrogates."""
    text = INVISIBLE.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    text = unicodedata.normalize("NFC", CONTROL.sub(" ", text))
    return " ".join(text.split())


def units(tree: Tree) -> Iterator[tuple[Tree, str]]:
    """Walk the short blocks of a page, each with a key that its numbers do not change."""
    for node in tree.iter(*UNITS):
        text = node.text_content()
        words = " ".join(text.split()) if len(text) <= 4 * MAX_UNIT else ""
        if 0 < len(words) <= MAX_UNIT:
            plain = DIGITS.sub("0", words.casefold()).encode("utf-8", "replace")
            yield node, blake2b(plain, digest_size=8).hexdigest()


def without_noise(tree: Tree, titles: Collection[str], boilerplate: Collection[str] = ()) -> Tree:
    """Copy a page without captions, boilerplate and the cards of other articles.

    What else its class calls no text, such as an advertisement, goes with the captions.
    A card is a short ``article`` whose heading is a link; one with a title of the page's
    own stays.

    Args:
        tree: the page.
        titles: its own, casefolded.
        boilerplate: keys of `units` that stand on many pages of the site.
    """
    copied = deepcopy(tree)
    if boilerplate:
        for node in [node for node, key in units(copied) if key in boilerplate]:
            if node.getparent() is not None:
                node.drop_tree()
    for node in list(copied.iter(*UNITS, "span", "small", "ul", "article")):
        words = len(node.text_content())
        if node.getparent() is None or words > (MAX_CARD if node.tag == "article" else MAX_NOISE):
            continue
        if _is_card(node, titles) if node.tag == "article" else NOISE.search(node.get("class", "")):
            node.drop_tree()
    return copied


def chosen(tree: Tree, path: str) -> Tree | None:
    """Gather what an XPath chooses under one element; None where it finds nothing.

    The tree loses what is gathered, and what in it is no text.
    """
    found = [node for node in tree.xpath(path) if isinstance(node.tag, str)]
    inner = {id(below) for node in found for below in islice(node.iter(), 1, None)}
    body = Element("body")
    for node in found:
        if id(node) not in inner:
            for other in list(node.iter(*NOT_TEXT)):
                if other is not node:
                    other.drop_tree()
            node.tail = None
            body.append(node)
    return body if len(body) else None


def blocks(body: Tree, titles: Collection[str]) -> list[str]:
    """Split a tree, trafilatura's or a page's, into paragraphs.

    Left out are the titles, what is mostly links, what stands there three times or within
    a longer paragraph (a pulled quote) and who said it, prompts to let content of others
    be shown, headings that nothing follows, and stray labels of one or two words at
    either end.
    """
    found: list[tuple[str, str]] = []
    names = {_letters(title) for title in titles}
    for kind, text, plain in _pieces(body):
        linked = 1 - len(plain) / max(len(text), 1)
        is_new = _letters(text) not in {*names, ""} and not PROMPT.match(text)
        if is_new and linked < MOSTLY_LINKS and not (linked and LABEL.fullmatch(plain)):
            found.append((kind, text))
    while found and (found[-1][0] in HEADS or _is_label(found[-1][1])):
        found.pop()
    first = next((n for n, (_, text) in enumerate(found) if not _is_label(text)), 0)
    times = Counter(text for _, text in found)
    left = [(kind, text) for kind, text in found[first:] if times[text] < REPEATED]
    pulled = {n for n in _pulled([text for _, text in left]) if n and left[n][0] not in HEADS}
    said = {n + 1 for n in pulled if n + 1 < len(left) and _is_name(*left[n + 1])}
    return [text for n, (_, text) in enumerate(left) if n not in pulled | said]


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
    own, seen = _letters(f"{title}{text}"), _letters("".join(tree.xpath(SEEN)))
    for found in (first_text(data.get("description")), *meta(tree, META_LEADS)):
        summary = clean(found)
        words = _letters(summary)
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
        depth -= event == "end" and node.tag in LINKS
        text = (node.text if event == "start" else node.tail) or ""
        depth += event == "start" and node.tag in LINKS
        text = f" {text}" if node.tag in ("lb", "br") else text
        texts.append(text)
        plain.append("" if depth else text)


def _letters(text: str) -> str:
    return NOT_LETTERS.sub("", text.casefold())


def _pulled(texts: list[str]) -> set[int]:
    """Find the texts nearly all of whose shingles stand in one longer text."""
    shingles = [
        {letters[n : n + SHINGLE] for n in range(len(letters) - SHINGLE + 1)}
        for letters in map(_letters, texts)
    ]
    owners: dict[str, list[int]] = {}
    for n, each in enumerate(shingles):
        for shingle in each:
            owners.setdefault(shingle, []).append(n)
    return {
        n
        for n, each in enumerate(shingles)
        if len(each) > MIN_PULLED
        and any(
            len(shingles[other]) > len(each) and times >= NEARLY_ALL * len(each)
            for other, times in Counter(o for s in each for o in owners[s]).items()
        )
    }


def _is_name(kind: str, text: str) -> bool:
    return kind not in HEADS and len(text) <= MAX_NAME and text[-1] not in FINAL


def _is_card(node: Tree, titles: Collection[str]) -> bool:
    for heading in islice(node.iter("h1", "h2", "h3", "h4"), 1):
        words = clean(heading.text_content())
        links = [*heading.iterancestors("a"), *heading.iter("a")]
        names = {clean(link.text_content()) for link in links if link.get("href")}
        return words in names - {""} and words.casefold() not in titles
    return False


def _is_label(text: str) -> bool:
    return len(text) <= 30 and len(text.split()) <= 2 and text[-1] not in FINAL


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
