"""The text of a page, block by block, and what on it is no text."""

from __future__ import annotations

import re
from collections import Counter
from copy import deepcopy
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING

from lxml.etree import Element, iterwalk

from corpus.markup import clean, letters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from corpus.markup import Tree

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
DIGITS = re.compile(r"\d+")


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
        is_article = node.tag == "article"
        if (
            (_is_card(node, titles) if is_article else NOISE.search(node.get("class", "")))
            and len(node.text_content()) <= (MAX_CARD if is_article else MAX_NOISE)
            and node.getparent() is not None
        ):
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


def paragraphs(body: Tree, titles: Collection[str]) -> list[str]:
    """Split a tree, trafilatura's or a page's, into paragraphs.

    Left out are the titles, what is mostly links, what stands there three times or within
    a longer paragraph (a pulled quote) and who said it, prompts to let content of others
    be shown, headings that nothing follows, and stray labels of one or two words at
    either end.
    """
    found: list[tuple[str, str]] = []
    names = {letters(title) for title in titles}
    for kind, text, plain in _pieces(body):
        linked = 1 - len(plain) / max(len(text), 1)
        is_new = letters(text) not in {*names, ""} and not PROMPT.match(text)
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


def _pulled(texts: list[str]) -> set[int]:
    """Find the texts nearly all of whose shingles stand in one longer text."""
    shingles = [
        {text[n : n + SHINGLE] for n in range(len(text) - SHINGLE + 1)}
        for text in map(letters, texts)
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
