"""Site profiles: what is an article on a site, and where its URLs are listed.

A profile is a TOML file: one of the built-in ones beside this module, by its
name, or a file of the user's own, by its path.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from corpus.errors import LanguageError, ProfileError, choices
from corpus.files import write_text
from corpus.languages import check_language

MAX_PROFILE_BYTES = 1_000_000


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"'{text}' is no regular expression: {error}") from error
    return text


def _selector(text: str) -> str:
    from parsel import css2xpath  # few profiles need it

    try:
        css2xpath(text)
    except Exception as error:  # of several kinds, from two libraries
        raise ValueError(f"'{text}' is no CSS selector: {error}") from error
    return text


def _language(code: str) -> str:
    try:
        return check_language(code)
    except LanguageError as error:  # pydantic names the key of a ValueError only
        raise ValueError(str(error)) from error


def _pair(text: str) -> str:
    src, _, tgt = text.partition("-")
    if _language(src) == _language(tgt):
        raise ValueError(f"'{text}' is no pair of two languages such as 'lb-en'")
    return text


def _shaped(pattern: str, what: str) -> AfterValidator:
    """Check that a text is of a pattern; the error says in words what it is."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"'{text}' is no {what}")
        return text

    return AfterValidator(check)


HOST = "host; write it in lower case without https:// and path: www.example.lu"
NAME = "name of lower-case letters, digits and hyphens, such as my-site"
Host = Annotated[str, _shaped(r"[a-z0-9.-]+(:\d+)?", HOST)]
Name = Annotated[str, _shaped(r"[a-z0-9][a-z0-9-]*", NAME)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Selector = Annotated[str, AfterValidator(_selector)]
Language = Annotated[str, AfterValidator(_language)]
Pair = Annotated[str, AfterValidator(_pair)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Strict):
    """Where a page's fields stand: CSS selectors, as Scrapy has them.

    They go before what extraction finds by itself, which fills in where one finds
    nothing. ``date`` may end in ``::attr(datetime)``.
    """

    body: Selector | None = None  # containers, or the paragraphs themselves
    title: Selector | None = None
    date: Selector | None = None

    def path(self, field: str) -> str | None:
        """Give a field's selector as XPath, where there is one."""
        from parsel import css2xpath

        css = getattr(self, field)
        return css2xpath(css) if css else None


class Edition(_Strict):
    """One language of a site: a host, and perhaps a path below it."""

    lang: Language
    host: Host
    path: str = "/"
    articles: list[Pattern] = Field(min_length=1)  # searched in the URL's path
    ignore: list[Pattern] = []
    sitemaps: list[str] = []  # URLs or paths; robots.txt names more
    feeds: list[str] = []  # RSS or Atom, URLs or paths
    select: Select = Select()

    def owns(self, url: str) -> bool:
        """Tell whether a URL belongs to this edition."""
        parts = urlsplit(url)
        return parts.netloc == self.host and (parts.path or "/").startswith(self.path)

    def ignores(self, url: str) -> bool:
        """Tell whether a URL is never to be fetched by the patterns."""
        return any(re.search(p, urlsplit(url).path) for p in self.ignore)

    def is_article(self, url: str) -> bool:
        """Tell whether a URL of this edition is an article by the patterns."""
        path = urlsplit(url).path
        return (
            self.owns(url)
            and any(re.search(p, path) for p in self.articles)
            and not self.ignores(url)
        )


class Budget(_Strict):
    """What one host of a site gives in one run; what is not named has no bound."""

    pages: int | None = Field(default=None, ge=1)
    bytes: int | None = Field(default=None, ge=1)  # of pages, unpacked
    seconds: float | None = Field(default=None, gt=0)


class Profile(_Strict):
    """What Bitextile knows of one site."""

    name: Name
    title: str
    licence: str  # of the texts, an SPDX id or plain words
    scheme: str = Field("https", pattern="^https?$")
    delay: float = Field(1.0, ge=0)  # seconds between two requests to one host
    links: bool = True  # follow links within the site
    budget: Budget = Budget()
    pairs: list[Pair]
    editions: list[Edition] = Field(min_length=1)

    @model_validator(mode="after")
    def _pairs_have_editions(self) -> Profile:
        known = {edition.lang for edition in self.editions}
        for pair in self.pairs:
            if unknown := set(pair.split("-")) - known:
                raise ValueError(f"pairs: '{pair}' has no edition in {', '.join(sorted(unknown))}")
        return self

    @property
    def languages(self) -> list[str]:
        """The languages of the editions, in order."""
        return list(dict.fromkeys(edition.lang for edition in self.editions))

    def edition_of(self, url: str) -> Edition | None:
        """Find the edition that a URL belongs to: the one with the longest path."""
        owners = [edition for edition in self.editions if edition.owns(url)]
        return max(owners, key=lambda e: len(e.path), default=None)


def builtin_profiles() -> list[str]:
    """List the names of the built-in profiles."""
    return sorted(f.name[:-5] for f in files(__name__).iterdir() if f.name.endswith(".toml"))


def load_profile(site: str) -> Profile:
    """Load a profile by its built-in name, or from a TOML file.

    Raises:
        ProfileError: unknown site, or a broken profile; names the key.
    """
    if site.endswith((".toml", ".json")):
        return _parse(Path(site).name, _read(Path(site)))
    if site not in builtin_profiles():
        raise ProfileError(
            f"unknown site {choices(site, builtin_profiles())}; "
            "your own profile is a file: corpus crawl mysite.toml"
        )
    return _parse(site, files(__name__).joinpath(f"{site}.toml").read_text(encoding="utf-8"))


def save_profile(path: Path, profile: Profile) -> None:
    """Write a profile as JSON, if it is not there already: `load_profile` reads it."""
    text = profile.model_dump_json(indent=1)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PROFILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read the profile {path}: {error}") from error


def _parse(name: str, text: str) -> Profile:
    try:
        values = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
        return Profile.model_validate(values)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ProfileError(f"profile {name} cannot be read: {error}") from error
    except ValidationError as error:
        # A key that is misspelt is missing too: name what was written.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            inner: dict[str, type[_Strict]] = {"editions": Edition, "budget": Budget}
            model = inner.get(str(first["loc"][0]), Profile) if len(first["loc"]) > 1 else Profile
            said = f"unknown key {choices(str(first['loc'][-1]), model.model_fields)}"
        raise ProfileError(": ".join(filter(None, [f"profile {name}", where, said]))) from error
