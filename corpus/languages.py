"""Language codes (BCP-47), their names, and which languages look alike."""

from __future__ import annotations

import hashlib
import math
import re
from copy import copy
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from corpus.errors import LanguageError
from corpus.packs import load_pack

if TYPE_CHECKING:
    from collections.abc import Iterable

SCRIPT_SAMPLE = 2_000  # characters that decide a text's script
WORD_WEIGHT = 4.0  # of a common word, in nats by the root of the number of words
# A word, an elided one (d') alone; and a mark that stands alone, as French sets it.
WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:'(?=\w)|(?!\w))|(?<!\S)[:;!?«»](?!\S)")

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


def check_pair(text: str) -> str:
    """Return a pair of languages such as ``lb-en`` in its standard form.

    Raises:
        LanguageError: not two different languages, or one with a region.
    """
    codes = text.split("-")
    if len(codes) != 2:
        raise LanguageError(f"'{text}' is no pair of two languages such as lb-en")
    src, tgt = (check_language(code) for code in codes)
    if src == tgt:
        raise LanguageError(f"'{text}' pairs a language with itself; give two such as lb-en")
    return f"{src}-{tgt}"


@lru_cache(maxsize=256)
def language_name(code: str) -> str:
    """Name a language in English, such as Luxembourgish."""
    import langcodes

    return langcodes.Language.get(code).display_name()


# The letters of scripts that one look tells apart; a script that is not here is not checked.
SCRIPTS = {
    "Latn": "A-Za-zÀ-ɏḀ-ỿ",
    "Cyrl": "Ѐ-ԯ",
    "Grek": "Ͱ-Ͽἀ-῿",
    "Arab": "؀-ۿݐ-ݿ",
    "Deva": "ऀ-ॣ०-ॿ",
    "Beng": "ঀ-৿",
    "Sinh": "඀-෿",
    "Ethi": "ሀ-፿",
}


class Guess(NamedTuple):
    """A text's language, its probability, and by how much it leads the second."""

    lang: str
    prob: float
    margin: float


def with_look_alikes(languages: Iterable[str]) -> tuple[str, ...]:
    """Add to a site's languages those that identification confuses with them."""
    own = list(languages)
    near = [other for lang in own for other in LOOK_ALIKES.get(lang, ())]
    return tuple(dict.fromkeys(own + near))


def identify(texts: Iterable[str], choices: Iterable[str]) -> list[Guess]:
    """Identify the language of each text, among the choices alone.

    Args:
        texts: articles or sentences.
        choices: language codes; one that py3langid does not know is never guessed.

    Returns:
        A guess each, in order; the first choice with probability 0 where a text has
        no letters of any choice's script.
    """
    known = tuple(choices)
    return [_identify(text, known) for text in texts]


def identification_key(choices: Iterable[str]) -> dict[str, str]:
    """Name what decides between the choices: a part of the key of what it decides."""
    words = "\n".join(" ".join([k, *sorted(load_pack(k).common)]) for k in choices)
    digest = hashlib.sha256(words.encode()).hexdigest()
    return {"py3langid": version("py3langid"), "words": digest}


def settle(guess: Guess, expected: str, least_margin: float = 0.2) -> str:
    """Let the language of a text's surroundings decide where the guess is narrow.

    For a headline the surroundings are its article, for an article its edition.
    """
    return guess.lang if guess.margin >= least_margin else expected


def has_script(text: str, lang: str) -> bool:
    """Tell whether a text holds a letter of its language's script."""
    letters = SCRIPTS.get(_script(lang))
    return letters is None or _script_pattern(letters).search(text) is not None


def _identify(text: str, choices: tuple[str, ...]) -> Guess:
    fitting = _fitting(text, choices)
    if not fitting:
        return Guess(choices[0], 0.0, 0.0)
    identifier = _identifier(fitting)
    if identifier is None:
        return Guess(fitting[0], 1.0, 1.0)
    probs = _weighed(text, dict(identifier.rank(text)))
    lang = max(sorted(probs), key=probs.__getitem__)
    prob, others = min(probs.pop(lang), 1.0), probs.values()  # sums of float32 pass 1 by a bit
    return Guess(lang, prob, prob - max(others, default=0.0))


def _weighed(text: str, probs: dict[str, float]) -> dict[str, float]:
    """Let the commonest words decide between languages whose packs list them.

    These share among them, by the words that each knows, what the letters gave to all
    of them together: a language without a list neither gains nor loses.
    """
    listed = {lang: known for lang in probs if (known := load_pack(lang).common)}
    words = WORD.findall(text[:SCRIPT_SAMPLE].casefold().replace("’", "'"))
    n_known = {lang: sum(map(known.__contains__, words)) for lang, known in listed.items()}
    most, weight = max(n_known.values(), default=0), WORD_WEIGHT / math.sqrt(len(words) or 1)
    weights = {k: probs[k] * math.exp(weight * (n - most)) for k, n in n_known.items()}
    if not (total := sum(weights.values())):
        return probs
    share = sum(probs[lang] for lang in listed) / total
    return {**probs, **{lang: w * share for lang, w in weights.items()}}


def _fitting(text: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Keep the choices that are written in the script of most of the text's letters."""
    by_script: dict[str, list[str]] = {}
    for lang in choices:
        by_script.setdefault(_script(lang), []).append(lang)
    sample = text[:SCRIPT_SAMPLE]
    counts = {
        script: len(_script_pattern(SCRIPTS[script]).findall(sample))
        for script in by_script
        if script in SCRIPTS
    }
    most = max(counts.values(), default=0)
    best = [s for s in by_script if counts.get(s, most) == most and (most or s not in counts)]
    return tuple(lang for script in best for lang in by_script[script])


@lru_cache(maxsize=64)
def _identifier(choices: tuple[str, ...]) -> Any:  # noqa: ANN401 - py3langid is untyped
    """Restrict the one loaded model; none where there is nothing to tell apart."""
    model = load_model()
    known = set(model.labels) & set(choices)
    if len(choices) < 2 or not known:
        return None
    identifier = copy(model)
    identifier.set_languages(known)
    return identifier


@lru_cache(maxsize=1)
def load_model() -> Any:  # noqa: ANN401 - py3langid is untyped
    """Read the model of py3langid; the first call takes half a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=256)
def _script(lang: str) -> str:
    import langcodes

    return langcodes.Language.get(lang).maximize().script or ""


@lru_cache(maxsize=16)
def _script_pattern(letters: str) -> re.Pattern[str]:
    return re.compile(f"[{letters}]")
