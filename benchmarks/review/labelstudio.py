"""Items and judgements in Label Studio's JSON layout, written and read without its SDK.

A task is an item as it was built, with ``data`` of plain text and an annotation a judge:
a choice named ``verdict``, text areas ``edited_ROLE`` and ``comment``. The labelling
interface that gives such annotations stands beside the exported file.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from benchmarks.build.items import ROLES
from benchmarks.review.store import Judgement
from corpus import tables
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from benchmarks.review.store import Store

SCRIPT = "bitextile_by_script"


def export(store: Store, path: Path) -> int:
    """Write every item with what was judged of it as it was built; give their number."""
    said: dict[str, list[Judgement]] = {}
    for one in store.judgements():
        if one.version == one.item_id:
            said.setdefault(one.item_id, []).append(one)
    tasks = [
        {
            "id": n,
            "data": {
                "item_id": name,
                "langs": row["langs"],
                **dict(zip(ROLES[row["kind"]], row["texts"], strict=True)),
            },
            "annotations": [_annotation(one, row["kind"]) for one in said.get(name, ())],
        }
        for n, (name, row) in enumerate(sorted(store.items.items()), 1)
    ]
    tables.write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
    interface = files("benchmarks.review") / "templates" / "label-studio.xml"
    text, kinds = (
        interface.read_text(encoding="utf-8"),
        {row["kind"] for row in store.items.values()},
    )
    if "pair" in kinds:
        text = "".join(line for line in text.splitlines(True) if "not_paraphrase" not in line)
        text = text.replace("paraphrase", "target").replace("anchor", "source")
    tables.write_text(path.with_suffix(".xml"), text)
    return len(tasks)


def _annotation(one: Judgement, kind: str) -> dict[str, Any]:
    first = ROLES[kind][0]
    verdict = "accept" if one.verdict == "edit" else one.verdict
    result = [_result("verdict", first, "choices", {"choices": [verdict]})]
    for role, text in zip(ROLES[kind], one.texts, strict=False):
        result.append(_result(f"edited_{role}", role, "textarea", {"text": [text]}))
    if one.comment:
        result.append(_result("comment", first, "textarea", {"text": [one.comment]}))
    return {
        "id": one.n,
        "completed_by": {"email": one.judge},
        "was_cancelled": one.verdict == "skip",
        "result": [] if one.verdict == "skip" else result,
        SCRIPT: one.by_script,
    }


def _result(name: str, to: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": to, "type": kind, "value": value}


def read(store: Store, path: Path) -> int:
    """Take the annotations of a file into a store, each once; give how many are new.

    What no person can have made at a screen (no time was spent on it) counts as a script's.

    Raises:
        InputError: the file is of another layout, or an annotation cannot be; names it.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
        found = [(task["data"], one) for task in tasks for one in task.get("annotations", ())]
        given = [(f"label-studio {one.get('id')}", _judgement(store, *pair)) for pair in found
                 for one in pair[1:]]  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} has not Label Studio's layout ({type(error).__name__}: {error}); "
            "export it there as JSON, and see what benchmarks review SET --export writes"
        ) from error
    n_before = len(store.judgements())
    for request, judgement in given:
        if judgement is not None:
            store.add(judgement, f"{request} {judgement.judge} {judgement.version}")
    return len(store.judgements()) - n_before


def _judgement(
    store: Store, data: Mapping[str, Any], annotation: Mapping[str, Any]
) -> Judgement | None:
    item = data["item_id"]
    row = store.items[item]
    roles = ROLES[row["kind"]]
    values = {one["from_name"]: one["value"] for one in annotation["result"]}
    if annotation.get("was_cancelled") or "verdict" not in values:
        return None
    verdict = values["verdict"]["choices"][0]
    texts = tuple(
        _first(values.get(f"edited_{role}"), old)
        for role, old in zip(roles, row["texts"], strict=True)
    )
    edited = verdict == "accept" and texts != tuple(row["texts"])
    by_script = bool(annotation.get(SCRIPT, not annotation.get("lead_time")))
    who = annotation.get("completed_by")
    judge = str(who.get("email") or who.get("id") if isinstance(who, dict) else who)
    comment = _first(values.get("comment"), "")
    verdict = "edit" if edited else verdict
    return Judgement(judge, item, item, verdict, texts if edited else (), comment, by_script)


def _first(value: Mapping[str, Any] | None, otherwise: str) -> str:
    """Give the text of a text area; Label Studio writes a list, or one string."""
    text: str | Iterable[str] = value["text"] if value else otherwise
    return text if isinstance(text, str) else next(iter(text), otherwise)
