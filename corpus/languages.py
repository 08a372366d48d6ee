"""Language codes (BCP-47), their names, and which languages look alike."""

from __future__ import annotations

from functools import lru_cache

from corpus.errors import LanguageError

# Languages that identification confuses with the key: always among the choices.
LOOK_ALIKES = {
    "lb": ("de", "nl"),
    "de": ("lb", "nl"),
    "fr": ("oc", "ca"),
    "en": ("nl",),
    "bn": ("as",),
}


@lru_cache(maxsize=256)
def check_language(code: str) -> str:
    """Return a language code in its standard form.

    Raises:
        LanguageError: no such language; names the near ones.
    """
    import langcodes

    try:
        lang = langcodes.Language.get(code)
        if code and lang.is_valid() and lang.language not in (None, "und"):
            return lang.to_tag()
    except ValueError:  # LanguageTagError, which langcodes does not export
        pass
    raise LanguageError(f"'{code}' is no language code; give one such as lb, bn, fr, pt-BR")


@lru_cache(maxsize=256)
def language_name(code: str) -> str:
    """Name a language in English, such as Luxembourgish."""
    import langcodes

    return langcodes.Language.get(code).display_name()
