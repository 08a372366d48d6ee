from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from corpus.errors import ProfileError
from corpus.sites import Edition, builtin_profiles, load_profile, save_profile

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
name = "mine"
title = "Mine"
licence = "CC0-1.0"
pairs = ["lb-en"]
[[editions]]
lang = "lb"
host = "www.example.lu"
articles = ['/a/\\d+$']
[[editions]]
lang = "en"
host = "www.example.lu"
path = "/en/"
articles = ['/a/\\d+$']
ignore = ['/video/']
"""

# What the live sites' own addresses look like.
REAL = {
    "rtl": {
        "https://www.rtl.lu/news/national/a/2061746.html": "lb",
        "https://today.rtl.lu/news/luxembourg/a/2184321.html": "en",
        "https://infos.rtl.lu/actu/monde/a/2184322.html": "fr",
        "https://www.rtl.lu/news/national": None,
        "https://www.rtl.lu/mobile/a/x.html": None,
    },
    "globalvoices": {
        "https://bn.globalvoices.org/2020/05/12/68711/": "bn",
        "https://fr.globalvoices.org/2024/01/31/un-titre/": "fr",
        "https://globalvoices.org/2024/01/31/a-title/": "en",
        "https://globalvoices.org/2024/01/31/": None,
        "https://globalvoices.org/author/someone/": None,
        "https://es.globalvoices.org/2024/01/31/un-titulo/": None,
    },
    "sample": {
        "http://lb.sample.example/world/a/2000001.html": "lb",
        "http://en.sample.example/world/a-title-2000002.html": "en",
        "http://bn.sample.example/2026/03/02/news-2000003/": "bn",
        "http://en.sample.example/world/": None,
    },
}


@pytest.mark.parametrize("site", builtin_profiles())
def test_every_profile_knows_its_articles(site: str) -> None:
    profile = load_profile(site)
    assert profile.name == site
    for url, lang in REAL[site].items():
        edition = profile.edition_of(url)
        is_article = edition is not None and edition.is_article(url)
        assert (edition.lang if edition and is_article else None) == lang, url


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('name = "mine"', 'name = "My Site"', "name"),
        ("pairs =", "pears =", "pears"),
        ('["lb-en"]', '["lb-fr"]', "pairs"),
        ('["lb-en"]', '["lb"]', "pairs.0"),
        ('lang = "en"', 'lang = "english"', "editions.1.lang"),
        ("['/video/']", "['(']", "editions.1.ignore.0"),
        ("articles = ['/a/\\d+$']\n[[", "articles = []\n[[", "editions.0.articles"),
        ('host = "www.example.lu"\np', 'host = "https://x.lu"\np', "editions.1.host"),
        ('title = "Mine"', "", "title"),
    ],
)
def test_a_broken_profile_names_the_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    file = tmp_path / "mine.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=rf"mine\.toml.* {re.escape(key)}: "):
        load_profile(str(file))


def test_what_is_no_profile_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"unknown site 'rtll' \(did you mean 'rtl'\?\)"):
        load_profile("rtll")
    with pytest.raises(ProfileError, match="cannot read the profile"):
        load_profile(str(tmp_path / "none.toml"))
    (tmp_path / "x.toml").write_text("= 1")
    with pytest.raises(ProfileError, match=r"x\.toml cannot be read"):
        load_profile(str(tmp_path / "x.toml"))


def test_the_longest_path_owns_a_url(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD, encoding="utf-8")
    profile = load_profile(str(file))

    def lang_of(url: str) -> str | None:
        edition: Edition | None = profile.edition_of(url)
        return edition.lang if edition else None

    assert lang_of("https://www.example.lu/a/1") == "lb"
    assert lang_of("https://www.example.lu/en/a/1") == "en"
    assert lang_of("https://www.example.lu:81/a/1") is None
    assert lang_of("https://example.lu/a/1") is None
    english = profile.editions[1]
    assert english.is_article("https://www.example.lu/en/a/1")
    assert not english.is_article("https://www.example.lu/en/video/a/1")
    assert english.ignores("https://www.example.lu/en/video/x")


def test_a_saved_profile_is_read_back_and_written_once(tmp_path: Path) -> None:
    file = tmp_path / "pages" / "profile.json"
    profile = load_profile("globalvoices")
    save_profile(file, profile)
    assert load_profile(str(file)) == profile
    before = file.stat().st_mtime_ns
    save_profile(file, profile)
    assert file.stat().st_mtime_ns == before
    save_profile(file, profile.model_copy(update={"delay": 2.0}))
    assert load_profile(str(file)).delay == 2.0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("licence =", "license =", "license: unknown key 'license' (did you mean 'licence'?)"),
        ("ignore =", "ignored =", "unknown key 'ignored' (did you mean 'ignore'?)"),
        ('"www.example.lu"\np', '"https://x.lu"\np', "host: 'https://x.lu' is no host; write it"),
        ('["lb-en"]', '["lb-fr"]', "mine.toml: pairs: 'lb-fr' has no edition"),
    ],
)
def test_a_broken_profile_is_told_in_words(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "mine.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=re.escape(says)) as caught:
        load_profile(str(file))
    assert "Value error" not in str(caught.value)
