"""The programs that try to knock a server down, in a short form: `make chaos` runs them for long."""

from __future__ import annotations

import pytest

from chaos.sigterm import is_well, stop_once
from chaos.suite import ATTACKS, attack_all


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_stop_under_load_loses_nothing_and_says_unavailable_to_the_others(processes, repository):
    counts = await stop_once(repository, 8, "--processes", processes)
    assert counts["UNAVAILABLE"]
    assert is_well(counts), counts


async def test_attacks_neither_end_the_server_nor_keep_others_from_their_answers(tmp_path):
    reports = await attack_all(tmp_path, 0.03, print)
    assert len(reports) == len(ATTACKS)
    assert not {report.attack: report.problems() for report in reports if report.problems()}
