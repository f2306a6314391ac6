"""The folder of a run's results: what is planned, and what of it is done.

`plan-00000.parquet` in the folder `_camgraph` has the images; each of its row groups is a part, which becomes one file
of results. A part is done when its file is there. So whoever does a part, and however often, the file is the same, and
no image is in two files. Images that a later run adds are a plan of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from camgraph_client.bulk.images import SCHEMA
from camgraph_client.bulk.store import Folder
from camgraph_core.errors import UsageError
from camgraph_core.redaction import without_credentials

_RUN = "run.json"
_PLAN = re.compile(r"plan-(\d{5})\.parquet")
_READERS = 32
_KEYS = SCHEMA.names


@dataclass(frozen=True)
class Part:
    """Images whose results become one file.

    Attributes:
        plan: Number of the plan.
        group: Which row group of it.
        count: How many images it has.

    """

    plan: int
    group: int
    count: int

    @property
    def file(self) -> str:
        """Name of the file of its results."""
        return f"part-{self.plan:05d}-{self.group:06d}.parquet"


class Results:
    """The folder of a run's results.

    Args:
        url: The folder; it need not exist.

    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._files = Folder(url)
        self._state = Folder(f"{url}/_camgraph")

    def settle(self, said: Mapping[str, Any]) -> None:
        """Begins a run, or goes on with one that says the same.

        Args:
            said: What decides what is written of an image, in plain values.

        Raises:
            UsageError: The folder has results of a run that says something else.

        """
        self.tidy()
        new = json.loads(json.dumps(said))
        if _RUN not in self._state.names():
            self._state.write(_RUN, json.dumps(new, indent=1).encode())
            return
        old = json.loads(self._state.read(_RUN))
        differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        if differing:
            raise UsageError(
                f"{without_credentials(self._url)} has results of a run with another {differing[0]} "
                f"({old.get(differing[0])}, now {new.get(differing[0])}). Say the same as that run, or take another "
                "folder."
            )

    def tidy(self) -> None:
        """Removes what was begun and never finished. Nobody may be at work."""
        self._files.remove_unfinished()
        self._state.remove_unfinished()

    def add(self, images: pa.Table, part_size: int) -> None:
        """Plans those images that are not planned yet."""
        plans = self._plans()
        known = [pq.read_table(BytesIO(self._state.read(name))) for name in plans]
        if known:
            images = images.join(pa.concat_tables(known), _KEYS, join_type="left anti")
            images = images.sort_by([(key, "ascending") for key in _KEYS])
        if images.num_rows:
            buffer = BytesIO()
            pq.write_table(images, buffer, row_group_size=part_size, compression="zstd")
            self._state.write(f"plan-{len(plans):05d}.parquet", buffer.getvalue())

    def parts(self) -> list[Part]:
        """All parts that are planned."""
        found = []
        for name in self._plans():
            metadata = pq.read_metadata(BytesIO(self._state.read(name)))
            groups = range(metadata.num_row_groups)
            found += [Part(_number(name), group, metadata.row_group(group).num_rows) for group in groups]
        return found

    def done(self) -> set[str]:
        """The files of parts that are done."""
        return {name for name in self._files.names() if name.startswith("part-") and name.endswith(".parquet")}

    def errors(self, files: Iterable[str]) -> dict[str, int]:
        """For each of these files how many images could not be explained, read from its end alone."""
        names = list(files)
        with ThreadPoolExecutor(_READERS) as readers:
            return dict(zip(names, readers.map(self._errors, names), strict=True))

    def images(self, part: Part) -> list[tuple[str, str]]:
        """The images of a part, each with the class to explain of it, which may be empty."""
        with self._state.open(_plan_name(part.plan)) as file:
            metadata = _metadata_of(self._url, part.plan)
            table = pq.ParquetFile(file, metadata=metadata).read_row_group(part.group)
        return list(zip(table["image"].to_pylist(), table["target"].to_pylist(), strict=True))

    def keep(self, part: Part, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
        """Writes the file of a part.

        Args:
            part: The part.
            rows: A row for each of its images.
            schema: The columns.

        """
        columns = {name: [row.get(name) for row in rows] for name in schema.names}
        table = pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema)
        buffer = BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self._files.write(part.file, buffer.getvalue())

    def _errors(self, name: str) -> int:
        with self._files.open(name) as file:
            metadata = pq.ParquetFile(file).metadata
        column = metadata.schema.names.index("error")
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        return sum(group.num_rows - group.column(column).statistics.null_count for group in groups)

    def _plans(self) -> list[str]:
        return [name for name in self._state.names() if _PLAN.fullmatch(name)]


@lru_cache(maxsize=4)
def _metadata_of(url: str, plan: int) -> Any:
    """Where the row groups of a plan lie, which a worker reads once."""
    with Folder(f"{url}/_camgraph").open(_plan_name(plan)) as file:
        return pq.read_metadata(file)


def _plan_name(plan: int) -> str:
    return f"plan-{plan:05d}.parquet"


def _number(plan: str) -> int:
    found = _PLAN.fullmatch(plan)
    assert found is not None
    return int(found[1])
