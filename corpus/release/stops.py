"""What must never go up, and what a person should look at first.

Rights are checked on rows, secrets and paths on everything that a release holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from corpus import reserved
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Licences that let a corpus be passed on, as profiles write them. No-derivatives ones do
# not: sentences out of an article are an adaptation of it.
OPEN = re.compile(
    r"(cc0|cc-by(-nc)?(-sa)?|pdm|public domain|odc-by|odbl|apache|mit|bsd|l?gpl|agpl|mpl)\b",
    re.IGNORECASE,
)
NO_DERIVATIVES = re.compile(r"-nd\b", re.IGNORECASE)
PERMISSION = "permission"  # a basis that starts so lets its text be passed on
SECRETS = {
    "a token of the Hub": r"\bhf_[A-Za-z0-9]{20,}",
    "an API key": r"\b(sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|gh[pousr]_\w{30,})",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a password in an address": r"\bhttps?://[^/\s:@]+:[^/\s@]+@",
    "a path of a machine": r"(^|[\s\"'(=])(/(home|Users|root|tmp|mnt|media|var|opt)/\w|[A-Z]:\\\w)",
}
PERSONAL = {
    "phone number": r"(?:\+|\b00)[1-9]\d{0,2}(?:[ .\-/]?\(?\d{1,4}\)?){2,6}\b",
    "mail address": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
    "street address": r"\b\d{1,4},? (?:rue|route|avenue|boulevard|place|allée|quai|cité) \p{L}"
    r"|\b\p{Lu}\p{L}+(?:stra(?:ß|ss)e|strooss|wee|gaass|platz|street|road) \d{1,4}\b",
}
N_SAMPLES = 3


def check_rights(articles: pl.DataFrame, pairs: Iterable[pl.DataFrame]) -> None:
    """Refuse text that the crawl's record of rights does not let go.

    Args:
        articles: site, licence and basis of each article whose text would go up.
        pairs: with origin, licence and src_article (null: imported as pairs).

    Raises:
        InputError: names the sites, their licences, and the ways out.
    """
    imported = [
        rows.filter(pl.col("src_article").is_null()).select(
            pl.col("origin").alias("site"), "licence", pl.lit(None, pl.String).alias("basis")
        )
        for rows in pairs
    ]
    rows = pl.concat([articles.select("site", "licence", "basis"), *imported])
    counted = rows.group_by("site", "licence", "basis").len("n").sort("site", "licence", "basis")
    closed = [row for row in counted.iter_rows() if not may_publish(row[1], row[2])]
    if closed:
        listed = "; ".join(
            f"{n} texts of {site} (licence: {licence}{f', basis: {basis}' if basis else ''})"
            for site, licence, basis, n in closed
        )
        raise InputError(
            f"not released: {listed}. Publish addresses and hashes in their place (--deferred), "
            "some sites only (--site), or record a permission that you have "
            '(corpus extract --basis permission:"who, when")'
        )


def may_publish(licence: str | None, basis: str | None) -> bool:
    """Tell whether a text may be passed on: an open licence, or a recorded permission."""
    if basis:
        return basis.startswith(PERMISSION)
    text = licence or ""
    return bool(OPEN.match(text)) and not NO_DERIVATIVES.search(text)


def check_reserved(pairs: Mapping[str, pl.DataFrame], texts: Sequence[str]) -> None:
    """Refuse pairs that hold reserved texts: the list may be newer than the alignment.

    Raises:
        InputError: says how many there are, and how to leave them out.
    """
    for langs, rows in pairs.items():
        if texts and (n := int(reserved.mark(rows, ["src_text", "tgt_text"], texts).sum())):
            raise InputError(
                f"not released: {n} kept pairs of {langs} hold texts that are reserved for "
                "evaluation; align sentences leaves them out, then publish again"
            )


def check_secrets(name: str, texts: pl.DataFrame) -> None:
    """Refuse secrets and this machine's paths in any text column.

    Args:
        name: of what is looked at, for the message.
        texts: any table.

    Raises:
        InputError: says what was found, in which column, and shows no secret.
    """
    columns = [c for c, kind in texts.schema.items() if kind == pl.String]
    for what, pattern in SECRETS.items():
        hits = texts.select(pl.col(columns).str.contains(pattern).sum())
        for column in columns:
            if n := hits[column][0]:
                first = texts.filter(pl.col(column).str.contains(pattern)).row(0, named=True)
                where = next((f"{k} {first[k]}" for k in first if k.endswith("_id")), name)
                raise InputError(
                    f"not released: {n} values of {name}, column {column}, hold {what} "
                    f"(first: {where}); take them out, or drop their article with corpus forget URL"
                )


def personal(texts: pl.Series) -> dict[str, tuple[int, list[str]]]:
    """Count texts that hold what looks like phone numbers and addresses, with a few samples."""
    found = {}
    for what, pattern in PERSONAL.items():
        hits = texts.str.extract(f"({pattern})").drop_nulls()
        if len(hits):
            found[what] = (len(hits), hits.unique().sort().head(N_SAMPLES).to_list())
    return found


def mask(column: pl.Expr) -> pl.Expr:
    """Write [phone number] and so on in place of what `personal` finds."""
    for what, pattern in PERSONAL.items():
        column = column.str.replace_all(pattern, f"[{what}]")
    return column
