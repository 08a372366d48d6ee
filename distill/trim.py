"""Keep the part of a model's vocabulary that given texts use: their vectors stay the same.

A tokenizer that takes the longest piece (WordPiece) or the likeliest pieces (Unigram) cuts
a text the same way as long as the pieces that it chose are there; and a token that no text
uses is a row that no text reads (the idea of Abdaoui et al. 2020, "Load What You Need").
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from corpus.errors import InputError, choices
from corpus.tables import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

OTHER_FILES = (
    "distilled.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
    "*.bin",
    "*.onnx",
    "onnx",
)
KINDS = ("Unigram", "WordPiece")


def trim(folder: Path, out: Path, texts: Sequence[str], langs: Sequence[str]) -> dict[str, Any]:
    """Copy a model of which only the tokens stay that texts use.

    Args:
        folder: a static model, or one of sentence-transformers.
        out: the new model's folder.
        texts: what it is to read.
        langs: their languages.

    Returns:
        n_tokens before and after, and scripts: by script, tokens before and after.

    Raises:
        InputError: the model has no tokenizer that can be trimmed, or no weights to match.
    """
    before = next((p for p in sorted(folder.rglob("tokenizer.json"))), None)
    if before is None:
        raise InputError(f"{folder} has no tokenizer.json; its vocabulary cannot be trimmed")
    shutil.copytree(folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*OTHER_FILES))
    inner = out / before.relative_to(folder).parent
    raw = before.read_text(encoding="utf-8")
    tokenizer = Tokenizer.from_str(raw)
    tokenizer.no_truncation()
    used = {i for e in tokenizer.encode_batch_fast(list(texts)) for i in e.ids}
    trimmed, kept = trim_tokenizer(raw, used)
    write_text(inner / "tokenizer.json", trimmed)
    _trim_weights(inner, tokenizer.get_vocab_size(), kept)
    _renumber_configs(inner, {old: new for new, old in enumerate(kept)}, len(kept), langs)
    names = {i: token for token, i in tokenizer.get_vocab().items()}
    return {
        "n_tokens": [tokenizer.get_vocab_size(), len(kept)],
        "scripts": _scripts(names.values(), [names[i] for i in kept]),
    }


def trim_tokenizer(raw: str, used: set[int]) -> tuple[str, list[int]]:
    """Cut a ``tokenizer.json`` down to some tokens, the special ones and single letters.

    Returns:
        The new file, and the old id of each new token.
    """
    spec = json.loads(raw)
    model, kind = spec["model"], spec["model"].get("type", "")
    if kind not in KINDS:
        raise InputError(f"cannot trim a tokenizer of kind {choices(kind, KINDS)}")
    vocab: list[list[Any]] = model["vocab"]
    if kind == "WordPiece":
        vocab = [[t, i] for t, i in sorted(model["vocab"].items(), key=lambda item: item[1])]
        unknown = model["vocab"][model["unk_token"]]
    else:
        unknown = model["unk_id"]
        used = used | {min(range(len(vocab)), key=lambda i: vocab[i][1])}  # unknowns' score
    letters = {c for i in used if i < len(vocab) for c in vocab[i][0]}
    single = {i for i, (t, _) in enumerate(vocab) if t.removeprefix("##").strip("▁") in letters}
    special = {token["id"] for token in spec["added_tokens"]} | {unknown}
    kept = sorted(used | single | special)
    new = {old: n for n, old in enumerate(kept)}
    if kind == "WordPiece":
        model["vocab"] = {vocab[old][0]: n for n, old in enumerate(kept) if old < len(vocab)}
    else:
        model["vocab"] = [vocab[old] for old in kept if old < len(vocab)]
        model["unk_id"] = new[unknown]
    for token in spec["added_tokens"]:
        token["id"] = new[token["id"]]
    spec["post_processor"] = _renumber(spec.get("post_processor"), new)
    spec["padding"] = None
    return json.dumps(spec, ensure_ascii=False), kept


def _renumber(part: Any, new: Mapping[int, int]) -> Any:  # noqa: ANN401 - JSON
    """Give the tokens of a post-processor their new ids: ``ids`` lists, ["[SEP]", 102] pairs."""
    if isinstance(part, list):
        if len(part) == 2 and isinstance(part[0], str) and isinstance(part[1], int):
            return [part[0], new[part[1]]]
        return [_renumber(value, new) for value in part]
    if not isinstance(part, dict):
        return part
    return {
        key: [new[i] for i in value] if key == "ids" else _renumber(value, new)
        for key, value in part.items()
    }


def _trim_weights(inner: Path, n_tokens: int, kept: list[int]) -> None:
    path = inner / "model.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no safetensors file for numpy: {error}") from error
    rows = {
        name: tensor
        for name, tensor in tensors.items()
        if len(tensor) >= n_tokens and ("embed" in name or name == "weights")
    }
    if not rows or "mapping" in tensors:
        raise InputError(f"{path} has no matrix with a row for each of {n_tokens} tokens")
    save_file(
        tensors | {name: tensor[kept] for name, tensor in rows.items()}, path, {"format": "pt"}
    )


def _renumber_configs(
    inner: Path, new: Mapping[int, int], n_tokens: int, langs: Sequence[str]
) -> None:
    for path in (inner / "config.json", inner / "tokenizer_config.json"):
        if not path.is_file():
            continue
        config = json.loads(path.read_text(encoding="utf-8"))
        for key, value in config.items():
            if key.endswith("_token_id") and isinstance(value, int):
                config[key] = new.get(value, 0)
        config |= {"vocab_size": n_tokens} if "vocab_size" in config else {}
        config |= {"languages": sorted(langs)} if "languages" in config else {}
        if decoder := config.get("added_tokens_decoder"):
            renumbered = {str(new[int(i)]): token for i, token in decoder.items()}
            config["added_tokens_decoder"] = renumbered
        write_text(path, json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def _scripts(before: Iterable[str], after: Iterable[str]) -> dict[str, list[int]]:
    counts = [Counter(filter(None, map(_script, tokens))) for tokens in (before, after)]
    return {name: [n, counts[1][name]] for name, n in counts[0].most_common()}


def _script(token: str) -> str:
    """Name the script of a token's first letter, as Unicode names it."""
    letter = next((c for c in token if c.isalpha()), "")
    return unicodedata.name(letter, "").partition(" ")[0] if letter else ""
