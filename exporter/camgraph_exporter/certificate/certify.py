"""The certificate: an export proves itself before it is written, and any reader can repeat the proof."""

from __future__ import annotations

from collections.abc import Callable, Collection

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.checks import ALL
from camgraph_exporter.certificate.operators import operators_standard
from camgraph_exporter.certificate.registration import NAME as REGISTRATION
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.errors import CertificateError

# Called with the name of the check that starts, how many are done, and how many there are.
ProgressCallback = Callable[[str, int, int], None]


def certify(subject: Subject, *, progress: ProgressCallback | None = None) -> pb.Certificate:
    """Run every check and return the figures; whether they pass is in the result.

    Operators outside the standard end it early, as nothing else here can evaluate them.
    """
    checks: list[pb.Check] = []
    for done, check in enumerate(ALL):
        if progress is not None:
            progress(check.__name__.replace("_", " "), done, len(ALL))
        checks.append(check(subject))
        if check is operators_standard and not checks[-1].passed:
            break
    if progress is not None:
        progress("done", len(ALL), len(ALL))
    return pb.Certificate(passed=all(check.passed for check in checks), checks=checks, seed=subject.seed)


def require(certificate: pb.Certificate, remark: str = "", *, automatic: Collection[str] = ()) -> None:
    """Raise for a certificate with a failed check.

    `remark` says what the failure may be owed to; `automatic` names the layers that no user chose.

    Raises:
        CertificateError: naming each failed check, its error and tolerance, and where the error was found.

    """
    failed = [check for check in certificate.checks if not check.passed]
    if not failed:
        return
    absent = next((check for check in failed if check.name == "gradient-present"), None)
    if absent is not None:
        chosen = ", which auto took," if absent.location in automatic else ""
        raise CertificateError(
            f"The gradient at layer {absent.location!r}{chosen} is zero everywhere or not finite, for every target "
            "that was tried on random images, so its heatmaps would show nothing, and nothing was written. Choose "
            "another layer with --layer, or other scores with --score."
        )
    misplaced = next((check for check in failed if check.name == REGISTRATION), None)
    if misplaced is not None:
        raise CertificateError(
            f"Where the image changes, other cells of layer {misplaced.location!r} move than those that lie there "
            f"(registration is off by {misplaced.error:.3g} cells), so its heatmaps would lie in the wrong place, and "
            "nothing was written. Choose with --layer a layer before its cells are moved."
        )
    figures = [
        f"{check.name} is off by {check.error:.3g} at {check.location!r}, allowed is {check.tolerance:g}"
        for check in failed
    ]
    raise CertificateError(
        f"The explainable graph did not pass its own checks, so nothing was written: {'; '.join(figures)}."
        + f" {remark}" * bool(remark)
    )
