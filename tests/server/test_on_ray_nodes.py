"""The service on a Ray of several machines, of which one is lost: no call fails, and streams go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.callers import calling
from support.on_ray import nodes
from support.peers import Peer
from support.serving_on_ray import HAPROXY, replicas, serving, streaming, wait_for


@pytest.mark.timeout(400)
def test_no_call_fails_when_a_node_is_lost(peer: Callable[[str], Peer], tmp_path: Path) -> None:
    ray, others = peer("ray"), set(replicas())
    with nodes(ray, 2, **HAPROXY) as (cluster, kill), serving(ray, tmp_path, cluster, cpus=1) as address:
        before = set(replicas()) - others
        assert len(before) == 2
        with calling(address, 4) as calls, streaming(address) as stream:
            calls.wait_for(20)
            kill(1)
            wait_for(lambda: len(before & set(replicas())) == 1)
            calls.wait_for(60)
            stream.wait_for(60)
        assert calls.failed == stream.failed == []
