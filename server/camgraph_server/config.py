"""What a server is told at its start: values only, checked once. The options of `camgraph serve` are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings
from camgraph_server.address import Address

MIB = 1024 * 1024

_MOST_MIB = 2047  # gRPC counts the bytes of a message in 31 bits
_MOST_SECONDS = 1_000_000.0  # gRPC counts milliseconds in as many
_MOST_MEGAPIXELS = 10_000.0

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True)
class ServerConfig:
    """Settings of one server process. Each says in its declaration what it is.

    Raises:
        UsageError: a value is out of range, or two values do not fit together.

    """

    model_repository: Annotated[
        Path, Setting("Directory with NAME.onnx, NAME/model.onnx or NAME/VERSION/model.onnx.", path="folder")
    ]
    listen: Annotated[str, Setting("Address HOST:PORT or unix:PATH. Port 0 means a free port.")] = "127.0.0.1:8500"
    port_file: Annotated[Path | None, Setting("File that gets the bound port when the server is ready.")] = None
    device: Annotated[
        str,
        Setting(
            "Where graphs run: cpu, auto (CUDA if available), or a provider of onnxruntime as NAME[:KEY=VALUE,...], "
            "without which the server does not start.",
            metavar="DEVICE",
        ),
    ] = "cpu"
    fast_int8: Annotated[
        bool, Setting("Keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU.")
    ] = False
    trial_load: Annotated[
        bool,
        Setting(
            "Do not open each file in a process of its own first, which a damaged file may end.",
            option="--no-trial-load",
        ),
    ] = True
    load_timeout: Annotated[float, Setting("Seconds that one model may take to load in the trial before.", above=0)] = (
        300.0
    )
    workers: Annotated[
        int,
        Setting("Number of requests processed at the same time. 0 means the usable CPUs.", at_least=0, at_most=1024),
    ] = 0
    queue_capacity: Annotated[
        int, Setting("Number of requests that may wait. The server refuses further ones as UNAVAILABLE.", at_least=0)
    ] = 64
    max_request_mib: Annotated[int, Setting("Largest request in MiB.", at_least=1, at_most=_MOST_MIB)] = 32
    max_response_mib: Annotated[int, Setting("Largest response in MiB.", at_least=1, at_most=_MOST_MIB)] = 256
    max_megapixels: Annotated[
        float,
        Setting(
            "Largest photo in millions of pixels. The check comes before decoding.", above=0, at_most=_MOST_MEGAPIXELS
        ),
    ] = 50.0
    max_targets: Annotated[
        int, Setting("Largest number of targets per request, including those of top_k.", at_least=1)
    ] = 100
    max_output_megapixels: Annotated[
        float,
        Setting("Largest sum of the pixels of all maps and pictures drawn for one request, in millions.", above=0),
    ] = 400.0
    max_memory_mib: Annotated[
        int,
        Setting(
            "Memory in MiB for requests, images and answers altogether. 0 means half of what the process may use.",
            at_least=0,
        ),
    ] = 0
    receive_timeout: Annotated[float, Setting("Seconds that the body of a request may take to arrive.", above=0)] = 60.0
    grace: Annotated[
        float,
        Setting(
            "Seconds that requests in flight get to finish after SIGTERM or SIGINT.", at_least=0, at_most=_MOST_SECONDS
        ),
    ] = 30.0
    max_connection_age: Annotated[
        float,
        Setting(
            "Seconds after which a client must reconnect, to reach new replicas. 0 means never.",
            at_least=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 0.0
    tls_cert: Annotated[Path | None, Setting("PEM file with the certificate chain. Needs --tls-key.", path="file")] = (
        None
    )
    tls_key: Annotated[Path | None, Setting("PEM file with the private key. Needs --tls-cert.", path="file")] = None
    log_format: Annotated[LogFormat, Setting("Format of the log on stderr, one line per event.")] = "text"
    log_level: Annotated[LogLevel, Setting("Lowest severity that is logged.")] = "info"

    def __post_init__(self) -> None:
        check_settings(self)
        Address.parse(self.listen)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both tls-cert and tls-key; only one of them is set.")
