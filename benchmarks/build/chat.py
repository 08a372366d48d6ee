"""A chat model that writes paraphrases and negatives, at any server of OpenAI's protocol.

Every answer is kept with the model and all that it was asked, good or bad: the same
question is asked once, ever, and a set can be traced to what was said.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from align.services import Service, count_tokens
from corpus.errors import InputError
from corpus.languages import language_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from align.services import Terms
    from corpus.workspace import Workspace

MOST_WRITTEN = 400  # tokens of an answer: a sentence, in any script
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "sentence",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        },
    },
}


class Answer(NamedTuple):
    """What a chat model wrote, or why that is of no use: a reason, a space, the value."""

    text: str
    problem: str


class Chat:
    """A model that is asked by prompts in files: ``paraphrase.md`` and ``negative.md``."""

    def __init__(
        self, model: str, workspace: Workspace, terms: Terms, prompts: Path | None = None
    ) -> None:
        """Make ready to ask; nothing is sent yet.

        Args:
            model: its name at the server.
            workspace: keeps the answers.
            terms: what it may cost.
            prompts: a folder of prompts that take the place of ours.

        Raises:
            MissingExtraError: openai is not installed.
            InputError: there is no key and no server that needs none.
            ServiceError: a limit is given for a model of unknown price.
        """
        self.name = f"chat {model}"
        self._service, self._answers, self._prompts = (
            Service(model, terms),
            workspace.answers,
            prompts,
        )
        self._known = self._read()

    def ask(self, prompt: str, lang: str, texts: Sequence[str]) -> list[Answer]:
        """Ask the same of every text; what was answered before is not asked again.

        Raises:
            ServiceError: it would cost too much, or the server refuses.
            OfflineError: the server cannot be reached; answers so far are kept.
        """
        system = self._prompt(prompt).replace("{language}", language_name(lang))
        questions = [
            [{"role": "system", "content": system}, {"role": "user", "content": text}]
            for text in texts
        ]
        keys = [self._key(question) for question in questions]
        new = {k: q for k, q in zip(keys, questions, strict=True) if k not in self._known}
        n_read = sum(map(_tokens, new.values()))
        if new:
            self._service.foresee(n_read, MOST_WRITTEN * len(new))
        for key, question in new.items():
            self._known[key] = self._keep(key, prompt, question)
        return [read(self._known[key]) for key in keys]

    def _prompt(self, name: str) -> str:
        own = self._prompts / f"{name}.md" if self._prompts else None
        try:
            if own is not None and (own.exists() or not own.parent.is_dir()):
                return own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the prompt {own}: {error}") from error
        return (files("benchmarks.build") / "prompts" / f"{name}.md").read_text(encoding="utf-8")

    def _key(self, messages: list[dict[str, str]]) -> str:
        asked = json.dumps([self._service.model, self._service.url, messages])
        return hashlib.sha256(asked.encode()).hexdigest()[:32]

    def _keep(self, key: str, prompt: str, messages: list[dict[str, str]]) -> dict[str, Any]:
        """Ask once, and put the answer on disk."""
        service = self._service
        said = service.call(
            lambda client: client.chat.completions.create(
                model=service.model,
                messages=messages,
                response_format=SCHEMA,
                temperature=0,
                max_completion_tokens=MOST_WRITTEN,
            ),
            _tokens(messages),
            MOST_WRITTEN,
        )
        choice = next(iter(getattr(said, "choices", None) or ()), None)
        message = getattr(choice, "message", None)
        record = {
            "key": key,
            "model": service.model,
            "server": service.url,
            "prompt": prompt,
            "messages": messages,
            "answer": getattr(message, "content", None),
            "refusal": getattr(message, "refusal", None),
            "finish": getattr(choice, "finish_reason", None),
        }
        self._answers.parent.mkdir(parents=True, exist_ok=True)
        with self._answers.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return record

    def _read(self) -> dict[str, dict[str, Any]]:
        """Read what was answered; a line that a kill cut is closed, and asked again."""
        known = {}
        content = self._answers.read_text(encoding="utf-8") if self._answers.exists() else ""
        for line in content.splitlines():
            try:
                record = json.loads(line)
                known[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                continue
        if content and not content.endswith("\n"):
            with self._answers.open("a", encoding="utf-8") as file:
                file.write("\n")
        return known


def read(record: dict[str, Any]) -> Answer:
    """Read an answer as the schema has it; models do not always keep to it."""
    if record.get("refusal"):
        return Answer("", f"bad_answer refused: {str(record['refusal'])[:80]}")
    if record.get("finish") == "length":
        return Answer("", "bad_answer cut off")
    try:
        text = json.loads(record.get("answer") or "")["text"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer("", f"bad_answer no such JSON: {str(record.get('answer'))[:80]}")
    text = " ".join(text.split()) if isinstance(text, str) else ""
    return Answer(text, "" if text else "bad_answer an empty text")


def _tokens(messages: list[dict[str, str]]) -> int:
    return sum(count_tokens(message["content"]) + 8 for message in messages)
