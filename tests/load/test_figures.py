"""Schedules, comparisons, ramps, records and reports, from made-up records."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_load.arrivals import MOST_CALLS, due_times
from camgraph_load.comparison import compare
from camgraph_load.fleet import Outcome
from camgraph_load.plan import LoadPlan, rates
from camgraph_load.ramp import knee
from camgraph_load.recorded import Recorded, read, write
from camgraph_load.records import RECORD, Records
from camgraph_load.report import comparison_page, page
from camgraph_load.summary import summarise
from camgraph_load.usage import NONE, USAGE, processors, sums_of


def made_up(
    rate: float = 50.0, latency: float = 0.02, seconds: float = 20.0, seed: int = 0, failing: float = 0.0
) -> Records:
    generator = np.random.default_rng(seed)
    due = due_times("poisson", rate, seconds, seed)
    records = np.zeros(len(due), RECORD)
    records["due"] = records["sent"] = due
    records["done"] = due + latency * generator.lognormal(0, 0.3, len(due))
    records["code"] = np.where(generator.random(len(due)) < failing, 14, 0)
    records["stages"] = [1, 2, 3, 4, 5, 6]
    return records


def recorded(title: str = "open loop", seconds: float = 20.0, cpu: float = 0.2, **settings: float) -> Recorded:
    usage = np.zeros(int(seconds) + 1, USAGE)
    usage["at"] = np.arange(len(usage))
    usage["cpu"] = 100 + 1.5 * usage["at"]
    usage["memory"] = (200 + usage["at"]) * 2**20
    outcome = Outcome(made_up(seconds=seconds, **settings), np.full(10, 1e-4), cpu, usage)
    return Recorded(title, {"rate": 50, "server": "<host>"}, ["photo"], seconds, outcome)


# --- schedules ----------------------------------------------------------------------------------------------------


def test_a_constant_schedule_has_equal_distances() -> None:
    np.testing.assert_allclose(np.diff(due_times("constant", 8.0, 10.0, seed=0)), 0.125)


def test_a_poisson_schedule_has_exponential_distances() -> None:
    due = due_times("poisson", 100.0, 200.0, seed=1)
    gaps = np.diff(due)
    assert len(due) == pytest.approx(20_000, rel=0.03)
    assert (gaps >= 0).all()
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    for part in (0.5, 0.9, 0.99):
        assert np.quantile(gaps, part) == pytest.approx(-np.log(1 - part) / 100, rel=0.05)


def test_the_number_of_calls_of_a_poisson_schedule_varies_as_its_mean() -> None:
    counts = np.array([len(due_times("poisson", 10.0, 10.0, seed)) for seed in range(2000)])
    assert counts.mean() == pytest.approx(100, rel=0.01)
    assert counts.var() == pytest.approx(100, rel=0.15)


def test_a_seed_repeats_a_schedule() -> None:
    np.testing.assert_array_equal(due_times("poisson", 9, 9, seed=5), due_times("poisson", 9, 9, seed=5))


def test_a_schedule_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match=str(MOST_CALLS)):
        due_times("constant", 1e6, 1e6, seed=0)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "10,10", "20,10", "1,,2"])
def test_rates_that_make_no_ramp_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        rates(text)


def test_a_plan_needs_a_loop() -> None:
    with pytest.raises(UsageError, match="--rate"):
        LoadPlan()


def test_a_plan_does_not_repeat_what_goes_on_streams() -> None:
    with pytest.raises(UsageError, match="does not go with --stream"):
        LoadPlan(callers=1, stream=True, retries=True)


@pytest.mark.parametrize(
    ("outputs", "number"),
    [((), 1), (("heatmap", "overlay-png"), 2), (("heatmap", "heatmap"), 1), (("heatmap", "weights"), None)],
)
def test_a_plan_knows_how_many_outputs_an_answer_has(
    outputs: tuple[str, ...], number: int | None, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"any")
    [call] = LoadPlan(callers=1, target=("1", "2"), top_k=1, outputs=outputs).mix([tmp_path / "photo.jpg"]).calls
    assert (call.outputs, call.explanations) == (number, 3)


# --- summaries ----------------------------------------------------------------------------------------------------


def test_a_summary_of_known_calls() -> None:
    number = np.arange(100)
    records = np.zeros(100, RECORD)
    records["due"] = number / 10
    records["sent"] = records["due"] + 0.01
    records["done"] = records["due"] + (21 + number) / 1000
    records["wrong"][90:95] = True
    records["code"][95:] = 14
    summary = summarise(Outcome(records, np.zeros(1), 0.1, NONE), 10.0)
    assert (summary.calls, summary.wrong, summary.codes) == (100, 5, {"OK": 95, "UNAVAILABLE": 5})
    # The first second is left out: calls 10 to 99 were due after it, and 10 to 94 were answered, the last 5 wrong.
    assert (summary.offered, summary.answered, summary.good) == pytest.approx((90 / 9, 85 / 9, 80 / 9))
    latency = {"p50": 68, "p90": 106, "p95": 111, "p99": 115, "p99.9": 115}
    assert summary.latency.percentiles == pytest.approx(latency)
    assert (summary.latency.mean, summary.latency.largest) == pytest.approx((68, 115))
    assert summary.service.percentiles == pytest.approx({name: value - 10 for name, value in latency.items()})


# --- comparisons --------------------------------------------------------------------------------------------------


def test_two_runs_of_one_server_do_not_differ() -> None:
    pairs = [compare(made_up(seed=seed), made_up(seed=100 + seed), draws=300) for seed in range(12)]
    for figure in zip(*pairs, strict=True):
        assert sum(item.differs for item in figure) <= 3, figure[0].name


def test_a_slower_server_is_told_apart_and_the_interval_holds_the_truth() -> None:
    ratios = {item.name: item for item in compare(made_up(seed=1), made_up(seed=2, latency=0.024))}
    slower = ratios["latency p50, ms"]
    assert slower.differs
    assert slower.low <= 1.2 <= slower.high
    assert not ratios["good answers/s"].differs


def test_runs_too_short_to_compare_are_refused() -> None:
    with pytest.raises(UsageError, match="too short"):
        compare(made_up(seconds=2.0), made_up())


# --- ramps --------------------------------------------------------------------------------------------------------


def test_the_knee_is_the_last_step_that_keeps_up() -> None:
    steps = [
        recorded("a", rate=10),
        recorded("b", rate=20),
        recorded("c", rate=40, failing=0.3),
        recorded("d", rate=80),
    ]
    assert knee(steps) is steps[1]
    assert knee(steps, most_latency=1.0) is None
    assert knee(steps[2:]) is None


# --- records and reports ------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = [recorded("one"), recorded("two", failing=0.1)]
    write(tmp_path / "run.json", written)
    for before, after in zip(written, read(tmp_path / "run.json"), strict=True):
        np.testing.assert_array_equal(after.outcome.records, before.outcome.records)
        assert after.summary == before.summary
        assert (after.title, list(after.calls)) == (before.title, list(before.calls))


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "runs": [{}]}', '{"format": 9, "runs": []}', "[]"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InvalidInputError, match=r"run\.json"):
        read(tmp_path / "run.json")


class Page(HTMLParser):
    """The text of a page, and whatever it would load from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words, self.loaded, self.pictures = "", [], 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.pictures += tag == "svg"
        wanted = [value or "" for name, value in attributes if name in {"src", "href", "xlink:href"}]
        self.loaded += [value for value in wanted if not value.startswith("#")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_report_is_one_file_with_all_its_plots() -> None:
    found = Page(page([recorded("10/s", rate=10), recorded("50/s", rate=50)]))
    assert found.loaded == []
    assert found.pictures == 6
    assert "The knee is at" in found.words or "It kept up with every rate" in found.words
    assert "<host>" in found.words, "what users give is text"


def test_a_report_says_when_the_client_is_what_was_measured() -> None:
    assert "the client's" not in Page(page([recorded()])).words
    busy = recorded(cpu=0.97)
    assert "the client's" in Page(page([busy])).words
    late = recorded()
    late = dataclasses.replace(late, outcome=dataclasses.replace(late.outcome, lag=np.full(10, 0.05)))
    assert "the client's" in Page(page([late])).words


def test_two_runs_make_a_report() -> None:
    first, second = recorded("before"), recorded("after", latency=0.03, seed=4)
    found = Page(comparison_page(first, second, compare(first.outcome.records, second.outcome.records)))
    assert found.pictures == 2
    assert "before" in found.words
    assert "yes" in found.words


# --- what the server takes ----------------------------------------------------------------------------------------


def test_processors_and_memory_of_the_server() -> None:
    summary = recorded().summary
    assert summary.server_cpu == pytest.approx(1.5)
    assert summary.server_memory == pytest.approx(220)
    nobody_looked = dataclasses.replace(recorded().outcome, usage=NONE)
    assert dataclasses.replace(recorded(), outcome=nobody_looked).summary.server_cpu is None


def test_a_process_that_was_restarted_counts_from_zero() -> None:
    usage = np.array([(0, 10, 1), (2, 14, 1), (4, 1, 1)], USAGE)
    np.testing.assert_allclose(processors(usage), [2, 0])


def test_the_numbers_of_several_processes_are_added() -> None:
    lines = [
        "# TYPE process_cpu_seconds_total counter",
        'process_cpu_seconds_total{process="0"} 1.5',
        'process_cpu_seconds_total{process="1"} 2.0',
        "process_resident_memory_bytes 1e+08",
        "process_cpu_seconds_total_other 9",
    ]
    assert sums_of(lines) == {"process_cpu_seconds_total": 3.5, "process_resident_memory_bytes": 1e8}
