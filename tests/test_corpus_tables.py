from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import tables
from corpus.errors import InputError, StorageError

ROWS = [
    {"id": "b", "stage": "extract", "reason": "no_text", "value": "0"},
    {"id": "a", "stage": "extract", "reason": "too_short", "value": "12"},
]


def test_ids_are_the_documented_hashes() -> None:
    # sha256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 ...
    assert tables.article_id("abc") == "ba7816bf8f01cfea"
    assert tables.text_key("abc").hex() == "ba7816bf8f01cfea414140de5dae2223"
    assert tables.article_version("a", "b", "c") != tables.article_version("a", "bc", "")
    assert tables.pair_id("lb-en", [b"x"], [b"y"]) != tables.pair_id("lb-en", [b"xy"], [b""])


@given(st.text())
def test_text_key_ignores_unicode_composition(text: str) -> None:
    import unicodedata

    clean = text.encode("utf-8", "ignore").decode()
    forms = {tables.text_key(unicodedata.normalize(f, clean)) for f in ("NFC", "NFD")}
    assert len(forms) == 1


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    tables.write(tmp_path / "a.parquet", tables.REJECTS, tables.REJECTS.frame(ROWS))
    tables.write(tmp_path / "b.parquet", tables.REJECTS, tables.REJECTS.frame(ROWS[::-1]))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert tables.read(tmp_path / "a.parquet", tables.REJECTS)["id"].to_list() == ["a", "b"]


@pytest.mark.parametrize("table", tables.TABLES.values(), ids=lambda t: t.name)
def test_every_table_round_trips(tmp_path: Path, table: tables.Table) -> None:
    value = {
        pl.String: "x",
        pl.Binary: b"k" * 16,
        pl.Boolean: True,
        pl.List: ["x"],
        pl.List(pl.UInt64): [1],
        tables.UTC: datetime(2026, 3, 2, tzinfo=UTC),
    }
    row = {
        name: value.get(kind, value.get(kind.base_type(), 1))  # type: ignore[union-attr, call-overload]
        for name, kind in table.columns.items()
    }
    tables.write(tmp_path / "t.parquet", table, table.frame([row]))
    assert tables.read(tmp_path / "t.parquet", table).to_dicts() == [row]
    assert set(table.key) <= set(table.columns)


def test_a_frame_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a table of rejects"):
        tables.write(tmp_path / "a.parquet", tables.REJECTS, pl.DataFrame({"id": ["a"]}))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(InputError, match="is not a table of rejects"):
        tables.read(tmp_path / "b.parquet", tables.REJECTS)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    tables.write(path, tables.REJECTS, tables.REJECTS.frame(ROWS))
    before = path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device; make room"):
        tables.write(path, tables.REJECTS, tables.REJECTS.frame(ROWS[:1]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
