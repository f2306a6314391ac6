"""The load generator against servers whose delays are known."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.channel import Connection
from camgraph_core.errors import UsageError
from camgraph_load.arrivals import due_times
from camgraph_load.fleet import Outcome, run
from camgraph_load.mix import Call, Mix
from camgraph_load.sending import Task
from camgraph_load.summary import PERCENTILES, summarise
from load.known_server import ANSWER, KnownServer, known_server, latencies

CALL = Call("one", pb.ExplainRequest(model_name="m").SerializeToString(), explanations=1, outputs=1)


def sent_to(server: KnownServer, due: np.ndarray | None, duration: float, **settings: object) -> Outcome:
    given = {"connections": 2, "mix": Mix((CALL,)), "process": 0, "callers": 100, "checks": True} | settings
    processes = given.pop("processes", 1)
    connection = Connection(server.address, timeout=given.pop("timeout", 30.0), attempts=1)
    return run(Task(connection=connection, due=due, duration=duration, **given), processes)


@pytest.mark.parametrize("stream", [False, True])
def test_percentiles_are_those_of_a_known_queue_within_two_percent(stream: bool) -> None:
    due, duration, service = due_times("poisson", 1.7, 9.0, seed=4), 9.0, 0.5
    with known_server(lambda _: service) as server:
        outcome = sent_to(server, due, duration, stream=stream)
    known = np.percentile(latencies(due, lambda _: service), PERCENTILES, method="inverted_cdf") * 1e3
    found = list(summarise(outcome, duration).latency.percentiles.values())
    assert max(known) > 1.5 * service * 1e3, "the schedule makes calls wait"
    np.testing.assert_allclose(found, known, rtol=0.02)


def test_a_stall_cannot_hide_behind_calls_that_were_not_sent() -> None:
    """One caller meets a stall once; those who would have called meanwhile met it, too (coordinated omission)."""
    due, duration = due_times("constant", 5.0, 6.0, seed=0), 6.0

    def service(number: int) -> float:
        return 2.0 if number == 10 else 0.05

    with known_server(service) as server:
        outcome = sent_to(server, due, duration, callers=1)
    summary = summarise(outcome, duration)
    known = np.percentile(latencies(due, service), PERCENTILES, method="inverted_cdf") * 1e3
    assert summary.service.percentiles["p90"] < 0.1 * known[1] < summary.latency.percentiles["p90"]
    # Each call of the one caller adds the time of a round trip to all that wait.
    np.testing.assert_allclose(list(summary.latency.percentiles.values())[1:], known[1:], rtol=0.1)


@pytest.mark.parametrize(("processes", "streams"), [(1, 0), (2, 0), (1, 2), (2, 4)])
def test_every_call_of_a_schedule_is_sent_and_counted_once(processes: int, streams: int) -> None:
    due = due_times("constant", 100.0, 1.0, seed=0)
    with known_server() as server:
        outcome = sent_to(server, due, 1.0, processes=processes, stream=streams > 0)
    assert server.streams == streams, "one for each connection of each process"
    assert len(server.received) == len(due) == len(outcome.records)
    np.testing.assert_array_equal(outcome.records["due"], due)
    assert (outcome.records["sent"] >= outcome.records["due"]).all()
    assert set(server.received) == {CALL.request}


def test_a_process_may_have_no_call_to_send() -> None:
    """A schedule of two calls is shared out among three processes."""
    with known_server() as server:
        outcome = sent_to(server, np.array([0.0, 0.1]), 0.2, processes=3)
    assert len(outcome.records) == 2


def test_a_closed_loop_waits_for_each_answer() -> None:
    with known_server(lambda _: 0.1) as server:
        outcome = sent_to(server, None, 1.0, callers=3)
    records = outcome.records
    in_flight = [((records["sent"] <= moment) & (records["done"] > moment)).sum() for moment in records["sent"]]
    assert max(in_flight) == 3
    assert summarise(outcome, 1.0).answered == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (ANSWER, True),
        (pb.ExplainResponse(), False),
        (pb.ExplainResponse(explanations=[pb.Explanation()]), False),
        (pb.ExplainResponse(explanations=[pb.Explanation(outputs=[pb.Output(encoded=b"")])]), False),
        (
            pb.ExplainResponse(
                explanations=[
                    pb.Explanation(outputs=[pb.Output(tensor=pb.Tensor(dtype="float32", shape=[2], data=b"0"))])
                ]
            ),
            False,
        ),
    ],
    ids=["whole", "empty", "no output", "empty picture", "short tensor"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_every_answer_is_looked_at(stream: bool, answer: pb.ExplainResponse, right: bool) -> None:
    with known_server(answer=lambda _: answer) as server:
        summary = summarise(sent_to(server, due_times("constant", 20.0, 0.5, seed=0), 0.5, stream=stream), 0.5)
    assert summary.codes == {"OK": 10}
    assert summary.wrong == (0 if right else 10)
    assert (summary.good > 0) == right


def test_answers_may_be_held_to_the_bit() -> None:
    expected = (b"\0\0\0\1",)
    mix = Mix((Call("one", CALL.request, 1, 1, expected=expected),))
    with known_server() as server:
        summary = summarise(sent_to(server, np.array([0.0]), 0.1, mix=mix), 0.1)
    assert summary.wrong == 1


@pytest.mark.parametrize("stream", [False, True])
def test_refusals_and_late_answers_are_counted_by_code_and_are_not_latency(stream: bool) -> None:
    def answer(number: int) -> pb.ExplainResponse:
        if number % 2:
            raise grpc.RpcError(grpc.StatusCode.UNAVAILABLE)
        return ANSWER

    def service(number: int) -> float:
        return 5.0 if number == 9 else 0.0

    with known_server(service, answer) as server:
        due = due_times("constant", 10.0, 1.0, seed=0)
        summary = summarise(sent_to(server, due, 1.0, timeout=1.0, stream=stream), 1.0)
    assert summary.codes == {"OK": 5, "UNAVAILABLE": 4, "DEADLINE_EXCEEDED": 1}
    assert summary.latency.largest < 1000


def test_a_stream_that_breaks_fails_what_waits_on_it_and_the_next_call_opens_another() -> None:
    def answer(number: int) -> pb.ExplainResponse:
        if number == 2:
            raise grpc.RpcError(grpc.StatusCode.ABORTED)
        return ANSWER

    with known_server(lambda _: 0.05, answer) as server:
        due = np.array([0.0, 0.01, 0.02, 0.03, 1.0, 1.01])
        outcome = sent_to(server, due, 1.5, stream=True, connections=1)
    assert summarise(outcome, 1.5).codes == {"OK": 4, "ABORTED": 2}
    assert outcome.records["code"].tolist() == [0, 0, 10, 10, 0, 0]
    assert server.streams == 2


def test_stages_come_from_the_answers() -> None:
    with known_server() as server:
        summary = summarise(sent_to(server, np.array([0.0, 0.1]), 0.2), 0.2)
    assert (summary.stages["inference"], summary.stages["queue"], summary.stages["decode"]) == (3.0, 1.0, 0.0)


def test_a_mix_is_sent_in_its_shares() -> None:
    other = Call("two", pb.ExplainRequest(model_name="other").SerializeToString(), 1, 1, weight=3.0)
    with known_server() as server:
        outcome = sent_to(server, due_times("constant", 400.0, 1.0, seed=0), 1.0, mix=Mix((CALL, other)))
    assert np.mean(outcome.records["call"]) == pytest.approx(0.75, abs=0.1)
    assert server.received.count(other.request) == outcome.records["call"].sum()


def test_a_server_that_is_not_there_is_said() -> None:
    with known_server() as server:
        address = server.address
    with pytest.raises(UsageError, match="did not accept a connection"):
        run(Task(Connection(address, timeout=1.0, attempts=1), 1, Mix((CALL,)), 0, 1.0, np.array([0.0]), 1, True), 1)
