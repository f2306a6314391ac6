"""A run as a file: its settings, its numbers, and the record of every call, from which all else can be made again."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_load.fleet import Outcome
from camgraph_load.records import RECORD
from camgraph_load.summary import Summary, summarise
from camgraph_load.usage import USAGE

_FORMAT = 1


@dataclass(frozen=True)
class Recorded:
    """One run.

    Attributes:
        title: What was sent, in words: "open loop, 40 calls/s".
        settings: How it was asked for, by option.
        calls: Names of the calls of the mix.
        duration: Length of the schedule in seconds.
        outcome: What happened.

    """

    title: str
    settings: Mapping[str, Any]
    calls: Sequence[str]
    duration: float
    outcome: Outcome

    @property
    def summary(self) -> Summary:
        """Its numbers."""
        return summarise(self.outcome, self.duration)


def write(path: Path, runs: Sequence[Recorded]) -> None:
    """Writes runs as JSON; the records of calls are a NumPy file in base64."""
    path.write_text(json.dumps({"format": _FORMAT, "runs": [_to_json(run) for run in runs]}, indent=1), "utf-8")


def read(path: Path) -> list[Recorded]:
    """Reads what `write` wrote.

    Raises:
        InvalidInputError: The file is missing or is not such a file.

    """
    try:
        held = json.loads(path.read_text("utf-8"))
        if held["format"] != _FORMAT:
            raise ValueError("another format")
        return [_from_json(run) for run in held["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{path} is not a record of camgraph load: {error}.") from error


def _to_json(run: Recorded) -> dict[str, Any]:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, records=run.outcome.records, lag=run.outcome.lag, usage=run.outcome.usage)
    return {
        "title": run.title,
        "settings": dict(run.settings),
        "calls": list(run.calls),
        "duration": run.duration,
        "client_cpu": run.outcome.cpu,
        "summary": run.summary.to_json(),
        "records": base64.b64encode(buffer.getvalue()).decode("ascii"),
    }


def _from_json(held: Mapping[str, Any]) -> Recorded:
    with np.load(io.BytesIO(base64.b64decode(held["records"])), allow_pickle=False) as arrays:
        records, lag, usage = arrays["records"], arrays["lag"], arrays["usage"]
    if records.dtype != RECORD or usage.dtype != USAGE:
        raise ValueError("its columns are others")
    outcome = Outcome(records, lag, float(held["client_cpu"]), usage)
    return Recorded(held["title"], held["settings"], held["calls"], float(held["duration"]), outcome)
