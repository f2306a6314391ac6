"""What one request may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from camgraph_core.settings import Setting

MIB = 1024 * 1024

_MOST_MIB = 2047  # gRPC counts the bytes of a message in 31 bits
_MOST_MEGAPIXELS = 10_000.0


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """What one request may take."""

    max_request_mib: Annotated[int, Setting("Largest request in MiB.", at_least=1, at_most=_MOST_MIB)] = 32
    compressed_requests: Annotated[
        bool, Setting("Refuse requests of gRPC that are compressed.", option="--no-compressed-requests")
    ] = True
    max_response_mib: Annotated[int, Setting("Largest response in MiB.", at_least=1, at_most=_MOST_MIB)] = 256
    max_megapixels: Annotated[
        float,
        Setting(
            "Largest photo in millions of pixels. The check comes before decoding.", above=0, at_most=_MOST_MEGAPIXELS
        ),
    ] = 50.0
    max_targets: Annotated[
        int, Setting("Largest number of targets per request, including those of top_k.", at_least=1, at_most=100_000)
    ] = 100
    max_output_megapixels: Annotated[
        float,
        Setting(
            "Largest sum of the pixels of all maps and pictures drawn for one request, in millions.",
            above=0,
            at_most=_MOST_MEGAPIXELS * 100,
        ),
    ] = 400.0
    max_memory_mib: Annotated[
        int,
        Setting(
            "Memory in MiB for requests, images and answers of all processes together. 0 means half of what there is.",
            at_least=0,
            at_most=1_000_000_000,
        ),
    ] = 0
