"""The programs that try to knock a server down, in a short form: `make chaos` runs them for long."""

from __future__ import annotations

import pytest

from chaos.sigterm import is_well, stop_once


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_stop_under_load_loses_nothing_and_says_unavailable_to_the_others(processes, repository):
    counts = await stop_once(repository, 8, "--processes", processes)
    assert counts["UNAVAILABLE"]
    assert is_well(counts), counts
