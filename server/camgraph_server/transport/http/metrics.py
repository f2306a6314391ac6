"""Metrics for Prometheus beside the models, where KServe and its annotations look for them."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.routing import Route

from camgraph_core.errors import NotFoundError
from camgraph_server.call import Call
from camgraph_server.transport.http.endpoint import Answer, Asked, Endpoint, route
from camgraph_server.transport.rules import SCRAPE


def routes(registry: CollectorRegistry, processes: int) -> list[Route]:
    """The address of the metrics.

    Args:
        registry: The metrics of this process.
        processes: How many serve the port.
    """

    async def metrics(asked: Asked, _: Call) -> Answer:
        if processes > 1:
            raise NotFoundError(
                "Each process has metrics of its own; ask the port of --metrics, which has all of them."
            )
        encode, kind = choose_encoder(asked.headers.get("accept", ""))
        text = await asyncio.to_thread(encode, registry)
        return Answer((text,), content_type=kind)

    return [route("GET", "/metrics", Endpoint("http", "Metrics", metrics, rule=SCRAPE))]
