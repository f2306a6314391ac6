"""Exits with 0 if the camgraph server in this container serves at least one model, else with 1.

Asks the standard gRPC health service where the server listens, as its own variables say: CAMGRAPH_SERVE_LISTEN (with
CAMGRAPH_SERVE_PORT_FILE for a free port) and CAMGRAPH_SERVE_TLS_CERT. With CAMGRAPH_SERVE_TLS_CLIENT_CA it shows the
certificate of CAMGRAPH_HEALTH_TLS_CERT and CAMGRAPH_HEALTH_TLS_KEY, or the server's own. It needs no token.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SECONDS = 3
_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def main() -> int:
    """Prints the status, or why there is none."""
    where = os.environ.get("CAMGRAPH_SERVE_LISTEN", "127.0.0.1:8500")
    try:
        where = address_of(where)
        with channel(where) as opened:
            health: Any = health_pb2_grpc.HealthStub(opened)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    except grpc.RpcError as error:
        print(f"no answer at {where}: {error.code().name}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:  # a file is not there, or is no certificate
        print(f"cannot ask at {where}: {error}", file=sys.stderr)
        return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def address_of(listen: str) -> str:
    """Where a server answers that listens at an address: a socket, one network, or all of them."""
    if listen.startswith("unix:"):
        return listen
    host, _, port = listen.rpartition(":")
    if port == "0":
        port = Path(os.environ.get("CAMGRAPH_SERVE_PORT_FILE", "")).read_text(encoding="utf-8").strip()
    return f"{_HERE.get(host, host)}:{port}"


def channel(where: str) -> grpc.Channel:
    """A channel to the server, with TLS where it has a certificate: that one is trusted, and no other."""
    options: list[tuple[str, int | str]] = [("grpc.enable_http_proxy", 0)]
    certificate = os.environ.get("CAMGRAPH_SERVE_TLS_CERT")
    if not certificate:
        return grpc.insecure_channel(where, options)
    chain = Path(certificate).read_bytes()
    options.append(("grpc.ssl_target_name_override", name_in(chain)))
    return grpc.secure_channel(where, grpc.ssl_channel_credentials(chain, *shown()), options)


def shown() -> tuple[bytes, bytes] | tuple[()]:
    """The key and the certificate that the server asks its clients for, if it does."""
    if not os.environ.get("CAMGRAPH_SERVE_TLS_CLIENT_CA"):
        return ()
    key, certificate = (
        Path(os.environ.get(f"CAMGRAPH_HEALTH_TLS_{kind}") or os.environ[f"CAMGRAPH_SERVE_TLS_{kind}"]).read_bytes()
        for kind in ("KEY", "CERT")
    )
    return key, certificate


def name_in(chain: bytes) -> str:
    """A name that the first certificate of a chain is for."""
    from cryptography import x509  # noqa: PLC0415 - slow to import, and needed with TLS alone

    certificate = x509.load_pem_x509_certificate(chain)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return found[0].replace("*", "any", 1)


if __name__ == "__main__":
    sys.exit(main())
