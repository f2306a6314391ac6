"""What a server is told at its start: values only, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from camgraph_core.errors import UsageError

MIB = 1024 * 1024

Device = Literal["cpu", "cuda", "auto"]


@dataclass(frozen=True)
class ServerConfig:
    """Settings of one server process.

    Raises:
        UsageError: a value is out of range, or two values do not fit together.
    """

    model_repository: Path
    """Directory with `NAME.onnx`, `NAME/model.onnx` or `NAME/VERSION/model.onnx`."""
    listen: str = "127.0.0.1:8500"
    """Address to listen on; port 0 takes a free one."""
    port_file: Path | None = None
    """File that gets the bound port once the server is ready."""
    device: Device = "cpu"
    """Where graphs run. `auto` takes CUDA if it is to be had."""
    fast_int8: bool = False
    """Whether to keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU."""
    workers: int = 0
    """Requests that are worked on at the same time; 0 means the CPUs that this process may use."""
    queue_capacity: int = 64
    """Requests that may wait for a worker; further ones are refused as UNAVAILABLE."""
    max_request_mib: int = 32
    """Largest request in MiB."""
    max_response_mib: int = 256
    """Largest response in MiB."""
    max_megapixels: float = 50.0
    """Largest photo in millions of pixels; checked before it is decoded."""
    max_targets: int = 100
    """Most targets of one request, `top_k` included."""
    grace: float = 30.0
    """Seconds that requests in flight get to finish after SIGTERM or SIGINT."""
    max_connection_age: float = 0.0
    """Seconds after which a client must reconnect, so that it meets new replicas; 0 means never."""
    tls_cert: Path | None = None
    """PEM file with the certificate chain; needs `tls_key`."""
    tls_key: Path | None = None
    """PEM file with the private key; needs `tls_cert`."""
    log_format: Literal["text", "json"] = "text"
    """One line an event: `key=value` text or JSON."""
    log_level: str = "info"
    """Least severity that is logged: debug, info, warning or error."""

    def __post_init__(self) -> None:
        self._at_least("workers", 0)
        self._at_least("queue_capacity", 0)
        self._at_least("max_request_mib", 1)
        self._at_least("max_response_mib", 1)
        self._at_least("max_targets", 1)
        self._at_least("grace", 0)
        self._at_least("max_connection_age", 0)
        if self.max_megapixels <= 0:
            raise UsageError(f"max-megapixels must be greater than 0, not {self.max_megapixels}.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both tls-cert and tls-key; only one of them is set.")

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value < least:
            raise UsageError(f"{name.replace('_', '-')} must be at least {least}, not {value}.")
