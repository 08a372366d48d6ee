"""When a host may be asked again, and when it has given enough.

Times are seconds of a clock that only rises and that the caller reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from corpus.warc import parse_date

if TYPE_CHECKING:
    from corpus.sites import Budget

MAX_THROTTLE = 60.0  # seconds; AutoThrottle goes no higher
MAX_REST = 3_600.0  # seconds; a host that asks for more is left for this run
REST = 60.0  # seconds after an answer 429 that names no time
RESTING = {429, 503}


@dataclass(slots=True)
class Manners:
    """How one host is to be asked.

    Attributes:
        least: seconds between two requests by the profile.
        room: requests at a time; 1 where the host asked for a delay.
        budget: what it gives in one run.
        crawl_delay: seconds that robots.txt asks for.
        throttle: seconds by its latency, as Scrapy's AutoThrottle computes them
            for one request at a time; it stays at 0 where ``room`` is larger.
        n_pages: pages asked for; ``n_active`` requests have no answer yet.
        n_calls: sources that wait for their turn; they come before pages.
    """

    least: float
    room: int
    budget: Budget
    crawl_delay: float = 0.0
    throttle: float = 0.0
    n_pages: int = 0
    n_bytes: int = 0
    n_active: int = 0
    n_calls: int = 0
    _asked: float = -math.inf
    _began: float = math.inf
    _rests_until: float = -math.inf

    @property
    def delay(self) -> float:
        """Seconds from one request to the next."""
        return max(self.least, self.crawl_delay, self.throttle)

    def wait(self, now: float) -> float:
        """Give the seconds until it may be asked; infinite while an answer is awaited."""
        if self.n_active >= (1 if self.crawl_delay else self.room):
            return math.inf
        return max(0.0, self._asked + self.delay - now, self._rests_until - now)

    def ask(self, now: float) -> None:
        """Take note of a request."""
        self.n_active += 1
        self._asked = now
        self._began = min(self._began, now)

    def answered(
        self, now: float, status: int = 0, latency: float = 0.0, rest: float | None = None
    ) -> None:
        """Take note of an answer, or of a loss (status 0); ``rest`` is its Retry-After."""
        self.n_active -= 1
        if self.room == 1 and status:
            slower = min(max(latency, (self.throttle + latency) / 2), MAX_THROTTLE)
            # Errors come fast: they are no reason to ask faster.
            self.throttle = slower if status == 200 else max(slower, self.throttle)
        if status in RESTING and (rest is not None or status == 429):
            seconds = REST if rest is None else rest
            until = now + seconds if seconds <= MAX_REST else math.inf
            self._rests_until = max(self._rests_until, until)

    def spent(self, now: float) -> str:
        """Say what ends the host's part in this run; "" while nothing does."""
        budget = self.budget
        if self._rests_until == math.inf:
            return f"it asked for a rest of more than {MAX_REST:.0f} s"
        if budget.pages is not None and self.n_pages >= budget.pages:
            return f"budget of {budget.pages} pages"
        if budget.bytes is not None and self.n_bytes >= budget.bytes:
            return f"budget of {budget.bytes} bytes"
        if budget.seconds is not None and now - self._began >= budget.seconds:
            return f"budget of {budget.seconds} seconds"
        return ""


def retry_after(said: str, date: str) -> float | None:
    """Read a Retry-After header in seconds (RFC 9110, 10.2.3); None where it says nothing.

    Args:
        said: seconds or an HTTP date.
        date: the answer's own Date header, so that a clock that is wrong does no harm.
    """
    if said.strip().isdecimal():
        return float(said)
    moment, now = parse_date(said), parse_date(date) or datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds()) if moment else None
