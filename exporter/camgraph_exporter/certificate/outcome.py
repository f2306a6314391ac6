"""The outcome of one check, as it goes into the certificate."""

from __future__ import annotations

import math
from collections.abc import Mapping

from camgraph.v1 import manifest_pb2 as pb


def make_check(name: str, description: str, errors: Mapping[str, float], tolerance: float) -> pb.Check:
    """Return the message of a check; `errors` maps places to how far off they are, and the worst of them decides."""
    location = max(errors, key=lambda key: errors[key])
    error = errors[location]
    return pb.Check(
        name=name,
        description=description,
        error=error,
        tolerance=tolerance,
        passed=error <= tolerance,
        location=location,
    )


def make_statement(name: str, description: str, errors: Mapping[str, float]) -> pb.Check:
    """Return the message of a check that states a figure: any finite one passes."""
    check = make_check(name, description, errors or {"graph": 0.0}, math.inf)
    return pb.Check(
        name=name,
        description=description,
        error=check.error,
        passed=math.isfinite(check.error),
        location=check.location,
        is_statement=True,
    )
