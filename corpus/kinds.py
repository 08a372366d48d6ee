"""What a page is that no article stands on: a gate for pages whose URL looks like one.

The page's own word counts most (JSON-LD, og:type); words of prompts and errors are
those of the languages that packs exist for. A long text is an article, whatever
stands beside it; a ticker, if it is of whole paragraphs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from corpus.markup import ARTICLE_TYPES, meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.markup import Tree

STUB = 500  # characters: more than a paragraph of text is an article
PARAGRAPH = 100  # characters; the entries of most tickers are shorter
CONSENT_WORDS = 400  # a consent page has fewer
CONSENT_SHARE = 0.03  # of a page's words
CONSENT = re.compile(
    r"cookies?\b|consent|einwillig|zustimm|datenschutz|akzeptier|privacy|vendors?\b|"
    r"accepter|confidentialité|traceurs?\b|zoustëmm|dateschutz|কুকি|গোপনীয়তা|সম্মতি",
    re.IGNORECASE,
)
NOT_FOUND = re.compile(
    r"\b(error|erreur|fehler)? ?404\b|(page|site|article)\b.{0,20}\bnot (be )?found|"
    r"(page|article) introuvable|(seite|artikel)\b.{0,20} nicht (gefunden|verfügbar)|"
    r"(säit|artikel)\b.{0,20} net fonnt|পাওয়া যায়নি|খুঁজে পাওয়া",
    re.IGNORECASE,
)
GALLERY_URL = re.compile(
    r"/(photo-?)?(galler(y|ies)|galerien?|galeries?|diaporamas?|bildergalerien?|fotostrecken?)"
    r"([/-]|$)",
    re.IGNORECASE,
)


def kind_of(
    url: str, tree: Tree, found: Sequence[dict[str, Any]], title: str, text: str
) -> tuple[str, str] | None:
    """Tell what a page is, if it is no article, and by what.

    Args:
        url: the page's.
        tree: the page.
        found: its JSON-LD objects.
        title: its headline.
        text: what was extracted.

    Returns:
        One of soft_404, consent, ticker, video, gallery, paywall, index, and the
        value that decided; None for an article.
    """
    types = {str(t) for o in found for t in _listed(o.get("@type"))}
    claims = [t for t in types if ARTICLE_TYPES.search(t)]
    claims += [t for t in meta(tree, ("og:type",)) if "article" in t.lower()]
    is_stub = len(text) < STUB
    if (match := NOT_FOUND.search(title)) and is_stub:
        return "soft_404", match[0]
    words = text.split()
    n_consent = len(CONSENT.findall(text))
    dense = len(words) < CONSENT_WORDS and n_consent > max(4, CONSENT_SHARE * len(words))
    if dense and not (claims and CONSENT.search(title)):
        return "consent", f"{n_consent} of {len(words)} words"
    if "LiveBlogPosting" in types and (is_stub or _is_in_pieces(text)):
        return "ticker", "LiveBlogPosting"
    if is_stub and (stub := _stub(url, tree, found, types)):
        return stub, f"{len(text)} characters"
    if not claims and (n_linked := _n_linked(tree)) > 2 * len(text):
        return "index", f"{n_linked} characters of links, {len(text)} of text"
    return None


def _stub(url: str, tree: Tree, found: Sequence[dict[str, Any]], types: set[str]) -> str | None:
    """Tell what stands where the text is short."""
    if "VideoObject" in types or any("video" in t for t in meta(tree, ("og:type",))):
        return "video"
    if "ImageGallery" in types or GALLERY_URL.search(url):
        return "gallery"
    closed = any(str(o.get("isAccessibleForFree")).lower() == "false" for o in found)
    return "paywall" if closed else None


def _is_in_pieces(text: str) -> bool:
    whole = sum(len(block) for block in text.split("\n\n") if len(block) >= PARAGRAPH)
    return 2 * whole < len(text)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _n_linked(tree: Tree) -> int:
    return sum(len(" ".join(a.text_content().split())) for a in tree.iterfind(".//body//a"))
