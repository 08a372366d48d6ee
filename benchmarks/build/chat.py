"""What a chat model is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Answer(NamedTuple):
    """What a chat model wrote, or why that is of no use: a reason, a space, the value."""

    text: str
    problem: str


class Chat(Protocol):
    """Asks one chat model."""

    name: str

    def ask(self, prompt: str, lang: str, texts: Sequence[str]) -> list[Answer]:
        """Ask for one answer a text."""
        ...
