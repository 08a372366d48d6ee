"""What ``distill export`` does: trim a model, write it as a graph, and refuse what it breaks."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors import SafetensorError

from align import onnx
from align.encoders import load_encoder, model_folder
from align.mining import mine_vectors
from align.neighbours import Embedded
from align.transformer import TransformerEncoder, open_transformer
from corpus.errors import BitextileError, EmptyError, InputError, StorageError
from corpus.files import folder_size, write_text
from distill.graph import quantise_graph, write_graph
from distill.trim import trim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from align.encoders import Encoder

SAME = 1e-5  # most that a number of a vector may move by trimming
LEAST_COSINE = 0.99  # mean of exported and original vectors
LEAST_AGREEMENT = 0.99  # of the pairs that both mine
MOST_TEXTS = 2_000  # of the pairs, that the gate looks at
LOST = 0.1  # a script of which this share of what is left of all tokens is not left is lost


class BrokenExportError(BitextileError):
    """An export does not give the original's vectors."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make.

    Attributes:
        trim: languages to keep; all where empty.
        graph: write an ONNX graph; else the model's own format.
        int8: the graph's weights in int8.
    """

    trim: tuple[str, ...] = ()
    graph: bool = True
    int8: bool = True


def convert(spec: str, out: Path, pairs: pl.DataFrame, wanted: Wanted) -> dict[str, Any]:
    """Export a model to a folder that loads as an encoder; nothing is left of a broken one.

    Args:
        spec: a model's folder or Hub id.
        out: the new folder.
        pairs: texts to trim for and to judge by; see `distill.data`.
        wanted: what to make.

    Returns:
        What was measured: cosine, agreement, bytes, and of a trimmed vocabulary what is lost.

    Raises:
        InputError: ``out`` is in use, or the model is of a kind that cannot be exported so.
        EmptyError: there are no pairs, or none in a language to keep.
        BrokenExportError: the export does not do what the original does.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; give --out a new folder")
    if not pairs.height:
        raise EmptyError("no pairs to judge the export by; give some with --texts FILE")
    folder, original = model_folder(spec), load_encoder(spec)
    if wanted.graph and not isinstance(original, TransformerEncoder):
        raise InputError(
            f"{spec} is no transformer, of which alone there is a graph; "
            "of others take --trim LANGUAGES --no-onnx"
        )
    if not (wanted.trim or wanted.graph):
        raise InputError("nothing to do: give --trim LANGUAGES, or leave --no-onnx out")
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.absolute().parent) as scratch:
            made, facts = _make(spec, folder, Path(scratch), original, pairs, wanted)
            shutil.copytree(made, out, dirs_exist_ok=True)
    except (OSError, SafetensorError) as error:
        why = error
        if isinstance(error, shutil.Error):  # of many the first
            why = error.args[0][0][-1]
        raise StorageError(f"cannot write {out}: {why}; make room and run again") from error
    return facts


def _make(
    spec: str, folder: Path, scratch: Path, original: Encoder, pairs: pl.DataFrame, wanted: Wanted
) -> tuple[Path, dict[str, Any]]:
    """Make the export in a folder for scratch, and judge it."""
    made, facts = folder, dict[str, Any](model=spec, revision=original.revision)
    if wanted.trim:
        made, texts = scratch / "model", _texts(pairs, wanted.trim)
        facts |= trim(folder, made, texts, wanted.trim) | {"kept": list(wanted.trim)}
        facts["largest_difference"] = _unchanged(original, made, texts[:MOST_TEXTS])
        facts |= _lost(original, facts)
    if wanted.graph:
        _write_encoder(made, scratch / "graph", spec, wanted, original)
        made = scratch / "graph"
    facts |= judge(original, load_encoder(str(made)), _sides(pairs, wanted.trim))
    facts["bytes"] = [folder_size(folder), folder_size(made)]
    write_text(made / "README.md", _card(facts, wanted, _licence(folder)))
    return made, facts


def judge(
    original: Encoder, exported: Encoder, sides: tuple[list[str], list[str]]
) -> dict[str, float]:
    """Compare an export with its original on texts of two sides.

    Returns:
        cosine and least_cosine of their vectors, and agreement: twice the pairs that both
        mine over the pairs that each mines (vectors alone, ratio margin, mutual best).

    Raises:
        BrokenExportError: it is not what the original is.
    """
    vectors = [[encoder.encode(texts) for texts in sides] for encoder in (original, exported)]
    if original.dim != exported.dim:
        raise BrokenExportError(f"the export has {exported.dim} dimensions, not {original.dim}")
    cosines = np.concatenate([np.einsum("nd,nd->n", a, b) for a, b in zip(*vectors, strict=True)])
    mined = [
        set(map(tuple, mine_vectors(Embedded(a), Embedded(b), margin=1.0).pairs.tolist()))
        for a, b in vectors
    ]
    agreement = 2 * len(mined[0] & mined[1]) / max(1, len(mined[0]) + len(mined[1]))
    found = {
        "cosine": float(cosines.mean()),
        "least_cosine": float(cosines.min()),
        "agreement": agreement,
        "n_texts": len(cosines),
    }
    if not (found["cosine"] >= LEAST_COSINE and agreement >= LEAST_AGREEMENT):  # also for NaN
        raise BrokenExportError(
            f"the export is refused: mean cosine to the original {found['cosine']:.4f} (at least "
            f"{LEAST_COSINE}), agreement of mined pairs {agreement:.4f} (at least "
            f"{LEAST_AGREEMENT}); try --float, or texts of the model's languages"
        )
    return found


def _write_encoder(folder: Path, out: Path, spec: str, wanted: Wanted, original: Encoder) -> None:
    """Write what `align.onnx.OnnxEncoder` reads."""
    model = open_transformer(spec, folder)
    out.mkdir()
    write_graph(model, out / onnx.GRAPH)
    if wanted.int8:
        quantise_graph(out / onnx.GRAPH, out / "int8.onnx")
        (out / "int8.onnx").replace(out / onnx.GRAPH)
    shutil.copyfile(next(iter(sorted(folder.rglob("tokenizer.json")))), out / onnx.TOKENIZER)
    for pattern in ("LICENSE*", "NOTICE*"):
        for path in folder.glob(pattern):
            shutil.copyfile(path, out / path.name)
    facts = {
        "max_length": int(model.max_seq_length),
        "prompt": model.prompts.get(model.default_prompt_name or "", ""),
        "languages": sorted(wanted.trim or original.languages or ()),
    }
    write_text(out / onnx.FACTS, json.dumps(facts, indent=2) + "\n")


def _sides(pairs: pl.DataFrame, langs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take pairs to judge by; where none is in two of the languages, texts of one."""
    kept = pairs.filter(pl.all_horizontal(pl.col("src_lang", "tgt_lang").is_in(langs)))
    if langs and kept.is_empty():
        texts = _texts(pairs, langs)[: 2 * MOST_TEXTS]
        return texts[::2], texts[1::2]
    src, tgt = (
        (kept if langs else pairs)[side].unique(maintain_order=True).to_list()[:MOST_TEXTS]
        for side in ("src", "tgt")
    )
    return src, tgt


def _texts(pairs: pl.DataFrame, langs: Sequence[str]) -> list[str]:
    """Take the texts of the languages to keep."""
    texts: list[str] = []
    for side in ("src", "tgt"):
        texts += pairs.filter(pairs[f"{side}_lang"].is_in(langs))[side].to_list()
    if not texts:
        present = sorted({*pairs["src_lang"], *pairs["tgt_lang"]})
        raise EmptyError(f"no texts in {', '.join(langs)}; there are some in {', '.join(present)}")
    return list(dict.fromkeys(texts))


def _unchanged(original: Encoder, folder: Path, texts: Sequence[str]) -> float:
    """Give the largest difference that trimming made to vectors of texts."""
    largest = float(np.abs(original.encode(texts) - load_encoder(str(folder)).encode(texts)).max())
    if not largest <= SAME:
        raise BrokenExportError(f"trimming moves vectors by {largest:.1e}, at most {SAME} is due")
    return largest


def _lost(original: Encoder, facts: dict[str, Any]) -> dict[str, Any]:
    """Name what a trimmed model cannot read any more."""
    n_before, n_after = facts["n_tokens"]
    least = LOST * n_after / n_before
    scripts = [s for s, (before, after) in facts.pop("scripts").items() if after < least * before]
    langs = sorted((original.languages or set()) - set(facts["kept"]))
    return {"lost_languages": langs, "lost_scripts": scripts}


def _licence(folder: Path) -> str:
    """Read a model's licence off the head of its card; empty where none is stated."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^license: *(\S+)$", text.partition("\n---")[0], re.MULTILINE)
    return found[1] if found and text.startswith("---") else ""


def _card(facts: dict[str, Any], wanted: Wanted, licence: str) -> str:
    kind = f"ONNX, {'int8' if wanted.int8 else 'float32'}" if wanted.graph else "trimmed"
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    name = "/".join(Path(facts["model"]).parts[-2:])
    head = f"---\nlicense: {licence}\n---\n" if licence else ""
    return f"{head}# {name} ({kind})\n\nMade by `distill export`.\n\n| | |\n|---|---|\n{rows}\n"
