"""Time and memory of what comes in and goes out: ``python -m tests.import_scale 1000000``.

Imports that many pairs from a TSV, exports them, then takes hostile files: a line of a
gigabyte, 10 GB in 10 MB of gzip, entities that unfold, a page of 500 MB in a WARC file.
Each command runs in a process of its own, whose peak of resident memory is shown.
"""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MB = b"x" * 1_000_000
PAGE = b"<html><body><p>"
LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
HEAD = (
    "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://127.0.0.1:8765/lb/news/1.html\r\n"
)
HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


def measured(*words: object) -> tuple[int, str, float, int]:
    """Run a command; give its exit code, last words, seconds and peak memory in MB."""
    start = time.perf_counter()
    script = "import sys; from corpus.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", script, *map(str, words)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        last = " ".join(said.read().split())[-160:]
    seconds = time.perf_counter() - start
    return os.waitstatus_to_exitcode(status), last, seconds, usage.ru_maxrss >> 10


def tell(what: str, done: tuple[int, str, float, int]) -> None:
    """Print what became of a command."""
    code, last, seconds, peak = done
    print(f"{what}: exit {code}, {seconds:.0f} s, peak {peak} MB; {last}", flush=True)  # noqa: T201


def sentences(n: int) -> Iterator[str]:
    """Give lines of two made-up sentences of 8 to 24 words."""
    draw = random.Random(7)
    words = ["".join(draw.choices("abdeiklmnorstuä", k=draw.randrange(2, 10))) for _ in range(9999)]
    for _ in range(n):
        src, tgt = (" ".join(draw.choices(words, k=draw.randrange(8, 25))) for _ in range(2))
        yield f"{src}\t{tgt}\n"


def hostile(folder: Path) -> Iterator[tuple[str, Path]]:
    """Write hostile files of pairs; good rows surround what is not."""
    good = b"".join(b"Eent %d\tOne %d\n" % (n, n) for n in range(9))
    path = folder / "line.tsv"
    with path.open("wb") as file:
        file.write(good)
        file.writelines(MB for _ in range(1000))
        file.write(b"\n" + good.replace(b"Eent", b"Zwee"))
    yield "a line of a gigabyte", path
    path.unlink()
    path = folder / "bomb.tsv.gz"
    with gzip.open(path, "wb") as packed:
        packed.write(good)
        packed.writelines(MB for _ in range(10_000))
    yield "10 GB in gzip", path
    units = "".join(
        f"<tu><tuv xml:lang='lb'><seg>{text}</seg></tuv><tuv xml:lang='en'><seg>x</seg></tuv></tu>"
        for text in ("Eent", "Zwee", "&l9;")
    )
    path = folder / "entities.tmx"
    path.write_text(f"<?xml version='1.0'?><!DOCTYPE tmx [{LOL}]><tmx><body>{units}</body></tmx>")
    yield "entities that unfold to 3 GB", path


def large_page(path: Path) -> None:
    """Write a WARC file of one page of 500 MB, and a small one after it."""
    with path.open("wb") as raw:
        for size in (500, 0):
            length = len(HTTP) + len(PAGE) + size * len(MB)
            with gzip.GzipFile(fileobj=raw, mode="wb") as file:
                file.write(f"{HEAD}Content-Length: {length}\r\n\r\n".encode() + HTTP + PAGE)
                file.writelines(MB for _ in range(size))
                file.write(b"\r\n\r\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        at = ("-w", root / "workspace")
        measured("init", "--contact", "you@example.org", *at)
        pairs = root / "pairs.tsv"
        with pairs.open("w", encoding="utf-8") as out:
            out.writelines(sentences(int(sys.argv[1])))
        lang = ("--lang", "lb-en")
        done = measured("import", "--pairs", pairs, *lang, "--json", *at)
        tell(f"import {sys.argv[1]} rows, {pairs.stat().st_size >> 20} MB of TSV", done)
        for form in ("tmx", "moses", "jsonl"):
            out_path = root / f"out.{form}"
            tell(f"export {form}", measured("export", "pairs", out_path, "--format", form, *at))
        done = measured("import", "--pairs", root / "out.tmx", *lang, "--json", *at)
        tell("import of that TMX", done)
        for what, bad in hostile(root):
            tell(what, measured("import", "--pairs", bad, *lang, "--json", *at))
        large_page(root / "page.warc.gz")
        done = measured("extract", root / "page.warc.gz", "--site", "sample", "--json", *at)
        tell("a page of 500 MB in a WARC file", done)
