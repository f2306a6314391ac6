"""`explain_many`: many images over a stream, through both faces of the client, against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading

import pytest

from camgraph_client import AsyncClient, Client, Connection, Outcome, UnavailableError
from camgraph_client.course import Asked, Course
from camgraph_core.errors import InvalidInputError, TargetError, TooLargeError, UsageError
from camgraph_runtime import Explainer, Target
from support.compare import assert_same
from support.serving import PATIENCE, photo, png, server_thread


@pytest.fixture(params=["sync", "async", "async iterable"])
def outcomes_of(request):
    """Explains many images through one face of the client, and gives each outcome to `see`, which may end it."""

    async def through_async(connection, images, see, options):
        async with AsyncClient(connection) as client:
            source = _asynchronous(images) if request.param == "async iterable" else images
            async with contextlib.aclosing(client.model().explain_many(source, **options)) as outcomes:
                async for outcome in outcomes:
                    if see(outcome) is False:
                        return

    def run(connection, images, see=None, **options):
        seen: list[Outcome] = []

        def note(outcome):
            seen.append(outcome)
            return None if see is None else see(outcome)

        if request.param != "sync":
            asyncio.run(through_async(connection, images, note, options))
            return seen
        with Client(connection) as client:
            for outcome in client.model().explain_many(images, **options):
                if note(outcome) is False:
                    break
        return seen

    return run


async def _asynchronous(images):
    for image in images:
        yield image


def indices(outcomes):
    return [outcome.index for outcome in outcomes]


def test_each_image_gets_what_a_call_gives_in_their_order(outcomes_of, address, graph, image):
    sources = [png(seed=1), image, str(image), photo(seed=3)]
    outcomes = outcomes_of(address, sources, targets=[Target.of_label("dog")], top_k=1)
    assert indices(outcomes) == [0, 1, 2, 3]
    explainer = Explainer(graph)
    for outcome, source in zip(outcomes, sources, strict=True):
        assert_same(outcome.result, explainer.explain(source, targets=[Target.of_label("dog")], top_k=1))


def test_nothing_is_asked_of_a_server_for_no_images(outcomes_of):
    assert outcomes_of("127.0.0.1:1", []) == []


def test_what_is_wrong_with_one_image_is_its_outcome(outcomes_of, address, tmp_path):
    sources = [tmp_path / "absent.png", png(), b"no picture", tmp_path / "absent.png", png(), tmp_path / "absent.png"]
    outcomes = outcomes_of(address, sources)
    assert indices(outcomes) == list(range(6))
    assert [outcome.error is None for outcome in outcomes] == [False, True, False, False, True, False]
    for outcome in outcomes:
        if outcome.error is not None:
            with pytest.raises(InvalidInputError):
                outcome.result  # noqa: B018 - reading it raises


def test_an_error_of_the_server_is_the_same_exception_as_in_this_process(outcomes_of, address):
    [outcome] = outcomes_of(address, [png()], targets=[Target.index(99)])
    assert isinstance(outcome.error, TargetError)


def test_keywords_that_cannot_be_used_are_refused_once(outcomes_of, address):
    with pytest.raises(UsageError, match="heatmaps"):
        outcomes_of(address, [png()] * 3, outputs=["heatmaps"])


def test_an_image_that_fails_while_another_is_waited_for_is_passed_over():
    """Whoever sends may look for an image again that has got its outcome in the meantime."""
    course = Course(Connection("localhost:1"), 4)
    course.add(Asked(0, error=InvalidInputError("no picture")))
    assert indices(course.failed()) == [0]
    assert course.following(0) is None
    course.add(last := Asked(1, error=InvalidInputError("no picture")))
    assert course.following(0) is course.following(1) is last


def test_what_the_images_raise_comes_after_the_outcomes_before_it(outcomes_of, address):
    def images():
        yield png()
        yield png()
        raise RuntimeError("the camera is gone")

    seen = []
    with pytest.raises(RuntimeError, match="the camera is gone"):
        outcomes_of(address, images(), seen.append)
    assert indices(seen) == [0, 1]


def test_an_image_that_is_too_large_for_the_server_is_not_sent(outcomes_of, repository):
    with server_thread(repository, max_request_mib=1) as server:
        sources = [png(800, 800), png(), png(800, 800), png()]
        outcomes = outcomes_of(server.address, sources)
    assert [type(outcome.error) for outcome in outcomes] == [TooLargeError, type(None), TooLargeError, type(None)]
    assert "more than the 1.0 MiB that the server takes" in str(outcomes[0].error)


@pytest.mark.parametrize("ahead", [1, 3])
def test_images_are_read_no_further_ahead_than_said_and_a_reader_may_leave(outcomes_of, address, ahead):
    taken = 0

    def images():
        nonlocal taken
        while True:
            taken += 1
            yield png()

    def see(outcome):
        assert taken <= outcome.index + 2 * ahead + 3
        return outcome.index < 20

    outcomes = outcomes_of(address, images(), see, ahead=ahead)
    assert indices(outcomes) == list(range(21))


def test_thousands_of_images_go_through_one_stream(outcomes_of, address):
    data = png()
    outcomes = outcomes_of(address, itertools.repeat(data, 2000), outputs=["raw-map"])
    assert indices(outcomes) == list(range(2000))
    assert all(outcome.error is None for outcome in outcomes)


def test_no_server_is_an_error_and_not_an_outcome(outcomes_of):
    with pytest.raises(UnavailableError, match="No server answers"):
        outcomes_of(Connection("127.0.0.1:1", attempts=2), [png()])


def test_a_server_that_stops_in_the_middle_and_comes_again_answers_every_image(outcomes_of, repository):
    running, half_way, ended = threading.Event(), threading.Event(), threading.Event()
    addresses = []

    def serve():
        with server_thread(repository) as first:
            addresses.append(first.address)
            running.set()
            half_way.wait(PATIENCE)
        with server_thread(repository, listen=first.address):
            ended.wait(PATIENCE)

    servers = threading.Thread(target=serve)
    servers.start()
    assert running.wait(PATIENCE)

    def see(outcome):
        if outcome.index == 20:
            half_way.set()

    connection = Connection(addresses[0], attempts=5)
    outcomes = outcomes_of(connection, itertools.repeat(png(), 400), see, outputs=["raw-map"])
    ended.set()
    servers.join(PATIENCE)
    assert indices(outcomes) == list(range(400))
    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
