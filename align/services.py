"""Models behind an API: what a call costs, who may ask, and what a failure means.

One `Service` is one model of a server that speaks OpenAI's protocol. Whoever asks it,
for vectors or for words, says how many tokens a call may take; the service refuses what
would cost too much, calls with the real client (which waits as Retry-After says), counts
what was used, and turns every failure to one line that holds no key.
"""

from __future__ import annotations

import logging
import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from corpus.errors import InputError, MissingExtraError, OfflineError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PRICES = {  # US dollars a million tokens, read and written
    "text-embedding-3-small": (0.02, 0.0),
    "text-embedding-3-large": (0.13, 0.0),
    "text-embedding-ada-002": (0.10, 0.0),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4.1-mini": (0.40, 1.60),
}
ATTEMPTS = 6  # 0.5 s to 8 s apart, or as Retry-After says
SECONDS = 120  # for an answer
RESUME = "what was finished is kept, run again to go on"

FAILURES = {  # by status: what happened, and the next step
    401: ("takes no such key", "set OPENAI_API_KEY"),
    429: ("wants fewer calls or more money", RESUME),
    500: ("failed time and again", RESUME),
}


@dataclass(slots=True)
class Terms:
    """On what terms services are asked; those asked on the same ones share the limit.

    Attributes:
        base_url: the server's address; ``OPENAI_BASE_URL`` or OpenAI's own where None.
        max_cost: US dollars that may be spent; any where None.
        price: US dollars a million tokens, read and written; as in `PRICES` where None.
        say: shows the estimate before the first call.
        spent: US dollars that were spent so far.
    """

    base_url: str | None = None
    max_cost: float | None = None
    price: tuple[float, float] | None = None
    say: Callable[[str], None] = log.info
    spent: float = field(default=0.0, init=False)


class Service:
    """A model behind an API."""

    def __init__(self, model: str, terms: Terms) -> None:
        """Make a client; nothing is sent yet.

        Raises:
            MissingExtraError: openai is not installed.
            InputError: there is no key, or the address holds one.
            ServiceError: a limit is given for a model of unknown price.
        """
        self.model, self.terms = model, terms
        self.url = (terms.base_url or os.environ.get("OPENAI_BASE_URL") or "").rstrip("/")
        self._price = terms.price or PRICES.get(model)
        if terms.max_cost is not None and self._price is None:
            raise ServiceError(
                f"--max-cost {terms.max_cost:g}: the price of '{model}' is not known; "
                "give it with --price, in US dollars a million tokens"
            )
        self._key = os.environ.get("OPENAI_API_KEY", "")
        self._client = self._connect()
        self._used, self._foreseen = 0, 0  # tokens

    def _connect(self) -> Any:  # noqa: ANN401 - an optional library
        try:
            import openai
        except ImportError as error:
            raise MissingExtraError(f"the model {self.model}", "openai") from error
        if self.url and not re.fullmatch(r"https?://[^\s@?#]+", self.url):
            raise InputError(
                "--base-url must be like https://HOST/v1, with no key or query in it; "
                "a key goes into OPENAI_API_KEY"
            )
        if not (self._key or self.url):
            raise InputError(
                f"the model '{self.model}' needs a key: set OPENAI_API_KEY, "
                "or name a server that needs none with --base-url"
            )
        return openai.OpenAI(
            api_key=self._key or "none",
            base_url=self.url or None,
            max_retries=ATTEMPTS - 1,
            timeout=SECONDS,
        )

    def cost(self, n_read: int, n_written: int = 0) -> float:
        """Give the US dollars of so many tokens; 0 where the price is not known."""
        read, written = self._price or (0.0, 0.0)
        return (n_read * read + n_written * written) / 1e6

    def foresee(self, n_read: int, n_written: int = 0) -> None:
        """Say what work will cost before it begins, unless it was part of what was foreseen.

        Raises:
            ServiceError: it would pass the limit.
        """
        n_tokens, cost = n_read + n_written, self.cost(n_read, n_written)
        if self._used + n_tokens <= self._foreseen:
            return
        self._foreseen = self._used + n_tokens
        dollars = f"${_cents(cost)}" if self._price else "at a price that is not known here"
        self.terms.say(f"{self.model} will be asked: up to about {n_tokens:,} tokens, {dollars}")
        self._check(self.terms.spent + cost, "nothing was asked")

    def call(self, ask: Callable[[Any], Answer], n_read: int, n_written: int = 0) -> Answer:
        """Call the model once, and count what that took.

        Args:
            ask: makes the call with the `openai.OpenAI` client that it is given.
            n_read: tokens that the call will read, at most.
            n_written: tokens that it may write.

        Returns:
            The client's answer.

        Raises:
            ServiceError: it would pass the limit, or was refused or not answered well.
            OfflineError: the server cannot be reached.
        """
        import openai

        self._check(self.terms.spent + self.cost(n_read, n_written), RESUME)
        try:
            answer = ask(self._client)
        except openai.APIConnectionError as error:
            raise OfflineError(self._said(error, "cannot be reached", RESUME)) from None
        except (openai.OpenAIError, ValueError) as error:
            status = getattr(error, "status_code", None) or 0
            what, step = FAILURES.get(min(status, 500), ("did not do it", "check the model"))
            raise ServiceError(self._said(error, what, step)) from None
        usage = getattr(answer, "usage", None)
        read, written = (getattr(usage, f"{n}_tokens", None) for n in ("prompt", "completion"))
        read, written = n_read if read is None else read, written or 0
        self._used += read + written
        self.terms.spent += self.cost(read, written)
        return answer

    def _check(self, cost: float, state: str) -> None:
        most = self.terms.max_cost
        if most is not None and cost > most:
            raise ServiceError(
                f"'{self.model}' would cost up to ${_cents(cost)}, over --max-cost {most:g} "
                f"(${_cents(self.terms.spent)} spent); {state}; raise --max-cost or take less text"
            )

    def _said(self, error: Exception, what: str, step: str) -> str:
        """Tell a failure in one line, without the key that a server may repeat."""
        text = re.sub(r"\bsk-[\w*-]+", "***", " ".join(str(error).split()))
        text = text.replace(self._key, "***") if self._key else text
        return f"{self.url or 'api.openai.com'} {what} ('{self.model}': {text[:300]}); {step}"


def count_tokens(text: str) -> int:
    """Estimate a text's tokens, rather too many: no vocabulary is at hand.

    Byte-pair vocabularies take about 4 letters of English a token, 3 of German or French,
    and nearly two tokens a letter of Bangla.
    """
    n_bytes = len(text.encode("utf-8", "replace"))
    n_wide = n_bytes - len(text.encode("ascii", "ignore"))
    return 1 + math.ceil((n_bytes - n_wide) / 3 + n_wide * 2 / 3)


def _cents(dollars: float) -> str:
    return f"{math.ceil(dollars * 1e4) / 1e4:.4g}"
