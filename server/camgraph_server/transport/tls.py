"""The certificate of the server: checked, followed when its files change, and told when it expires."""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from camgraph_server.config.security import SecuritySettings
from camgraph_server.errors import BindError
from camgraph_server.followed import Followed
from camgraph_server.observe.log import log_event

_MOST_BYTES = 1024 * 1024
_READABLE_BY_OTHERS = 0o004
_log = logging.getLogger("camgraph.tls")


@dataclass(frozen=True)
class Certificate:
    """What the files say.

    Attributes:
        chain: The certificate chain, PEM.
        key: Its private key, PEM.
        client_ca: The authorities of clients' certificates, PEM; None where clients need none.
        expires: When the first of the chain to expire does so.
        context: The same for Python's own TLS.
    """

    chain: bytes
    key: bytes
    client_ca: bytes | None
    expires: datetime
    context: ssl.SSLContext

    @property
    def left(self) -> timedelta:
        """Time until it expires."""
        return self.expires - datetime.now(UTC)


def followed_certificate(settings: SecuritySettings) -> Followed[Certificate] | None:
    """The server's certificate, which is read again when its files change; None without TLS."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    certificate, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    paths = [certificate, key] if client_ca is None else [certificate, key, client_ca]
    return Followed("the TLS certificate", paths, lambda: read_certificate(certificate, key, client_ca))


def read_certificate(certificate: Path, key: Path, client_ca: Path | None = None) -> Certificate:
    """Reads and checks the files; gRPC would only write to stderr what is wrong with them.

    Raises:
        BindError: They are not a pair of certificate and unencrypted key, a file has no certificate, or it has expired.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password="")
        chain, secret = _content(certificate), _content(key)
    except OSError as error:
        raise BindError(
            f"The TLS files {certificate} and {key} are not a pair of certificate and unencrypted key "
            f"({error.strerror or error})."
        ) from error
    authorities = None if client_ca is None else _authorities(client_ca)
    if authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        # Bundles name their authorities in comments, in letters that Python does not take here.
        context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
    found = Certificate(chain, secret, authorities, _expiry(chain, certificate), context)
    if found.left <= timedelta():
        raise BindError(f"The certificate {certificate} expired on {found.expires:%Y-%m-%d %H:%M} UTC; renew it.")
    if key.stat().st_mode & _READABLE_BY_OTHERS:
        log_event(_log, logging.WARNING, "every user of this machine may read the TLS key", path=str(key))
    return found


def credentials(followed: Followed[Certificate]) -> grpc.ServerCredentials:
    """Credentials of the port; every new connection gets the certificate as it is then."""
    lock, given = threading.Lock(), followed.get()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        with lock:  # handshakes run on several threads
            current = followed.get()
            if current is given:
                return None
            given = current
            return _configuration(given)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        fetch,  # type: ignore[arg-type]  # gRPC's stub leaves None out, which means no change
        require_client_authentication=given.client_ca is not None,
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificate.key, certificate.chain)], certificate.client_ca)


def _authorities(path: Path) -> bytes:
    try:
        content = _content(path)
    except OSError as error:
        raise BindError(f"The file {path} cannot be read: {error.strerror}.") from error
    _expiry(content, path)
    return content


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _expiry(pem: bytes, path: Path) -> datetime:
    """When the first of a file's certificates to expire does so."""
    from cryptography import x509  # noqa: PLC0415 - only a server with TLS needs it

    try:
        return min(certificate.not_valid_after_utc for certificate in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise BindError(f"The file {path} has no certificate in PEM form.") from error
