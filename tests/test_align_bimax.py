"""The shortlist of article pairs: in blocks, the same as by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from align import bimax


@pytest.mark.parametrize("block", [1, 3, 100])
def test_blocks_propose_the_nearest_in_window_and_reach(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bimax, "SHORTLIST", 2)
    monkeypatch.setattr(bimax, "BLOCK", block)
    draw, window = np.random.default_rng(0), 2
    days, other_days = draw.integers(0, 90, 40), draw.integers(0, 90, 50)
    means, others = (draw.normal(size=(n, 8)).astype(np.float32) for n in (40, 50))
    rows = np.flatnonzero(days < 50)
    expected = set()
    for row in rows.tolist():
        for reach in (window, bimax.REACH):
            near = np.flatnonzero(np.abs(other_days - days[row]) <= reach)
            best = near[np.argsort(-(others[near] @ means[row]))][:2]
            expected |= {(row, int(column)) for column in best}
    found = bimax._shortlist(days, means, other_days, others, rows, window)
    assert len(found) == len(expected)
    assert set(map(tuple, found.tolist())) == expected
