"""The programs that try to knock a server down, in a short form: `make chaos` runs them for long."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from chaos.long_run import Outcome, Sample, run
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


async def test_requests_drawn_at_random_find_no_fault_of_the_server(repository):
    outcome = await run(repository, 1, lambda outcome, _: sum(outcome.codes.values()) < 500, 0.1)
    assert outcome.codes["OK"] > 50
    assert outcome.codes["INVALID_ARGUMENT"] > 50
    assert not [problem for problem in outcome.problems() if not problem.startswith("memory")]  # it warms up yet


def test_what_grows_is_found():
    flat = [Sample(second, 100 + second % 3, 15, 12) for second in range(100)]
    assert not Outcome(Counter(OK=9), 9, flat).problems()
    leaks = [replace(each, memory=each.memory + each.seconds, descriptors=15 + int(each.seconds)) for each in flat]
    found = " ".join(Outcome(Counter(OK=9, INTERNAL=1), 1, leaks).problems())
    assert re.search("INTERNAL.*only 1 of 10.*memory rose.*descriptors rise", found), found
    slopes = Outcome(Counter(OK=9), 9, leaks).slopes()
    assert slopes["descriptors"] == pytest.approx(3600)
    assert slopes["threads"] == pytest.approx(0, abs=1e-6)
