"""All attacks one after the other on one server, and a table of what was seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chaos import connections, http, machine, requests
from chaos.watched import Attack, Report, bystander, target, watched

ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        requests.long_texts,
        requests.countless_fields,
        requests.numbers_in_lists,
        requests.much_to_draw,
        requests.pictures,
        requests.swelling_messages,
        requests.swelling_health_checks,
        connections.bodies_without_an_end,
        connections.unread_answers,
        connections.rapid_reset,
        connections.floods_of_frames,
        connections.cancelled_calls,
        connections.watches,
        connections.connections_that_stay,
        http.dear_json,
        http.http_bodies_without_an_end,
        http.http_bodies_in_many_parts,
        http.http_unread_answers,
        http.http_connections_that_stay,
        http.http_callers_that_leave,
        machine.no_descriptors,
        machine.a_full_disk,
        machine.changing_files,
    )
}


async def attack_all(folder: Path, size: float, told: Callable[[Report], None]) -> list[Report]:
    """Attacks a server in every way.

    Args:
        folder: An empty folder, which becomes its repository.
        size: Of each attack; 1 for a whole one.
        told: Is called with the report of each.
    """
    reports = []
    async with target(folder) as server, bystander(server.address) as honest:
        for name, attack in ATTACKS.items():
            reports.append(await watched(name, attack, server, honest, size))
            told(reports[-1])
    return reports
