"""What `camgraph explain` keeps of a run besides pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from camgraph_client.cli.maps import MapKind
from camgraph_client.cli.report.files import write_csv, write_json
from camgraph_client.cli.report.rows import Row
from camgraph_core.settings import Setting, check_settings


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a run besides pictures."""

    json: Annotated[
        Path | None,
        Setting(
            "Write predictions, targets, boxes, hot regions, statistics and warnings of all images to this JSON file, "
            "with the model's digest and certificate.",
            metavar="FILE",
        ),
    ] = None
    csv: Annotated[
        Path | None, Setting("Write them to this CSV file, a line for each explanation.", metavar="FILE")
    ] = None
    report: Annotated[
        Path | None,
        Setting(
            "Write one HTML page that shows all images with their maps, to be sorted; it needs no other file.",
            metavar="FILE",
        ),
    ] = None
    maps: Annotated[
        MapKind | None,
        Setting(
            "Write each heatmap as numbers beside its overlay: npy has float32 in 0..1, png16 grey of 16 bits where "
            "65535 is 1, tif is a GeoTIFF of float32 that lies where the image lies."
        ),
    ] = None
    truth: Annotated[
        str | None,
        Setting(
            "What is right: a CSV file with the columns name and label, or of a regressor name and a column for each "
            "number; or the word folder where each image lies in a folder with the name of its class. Explains the "
            "predicted and the right class and their difference, or what made a number too large or too small; the "
            "report shows wrong predictions and large errors first.",
            metavar="FILE|folder",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def needs_rows(self) -> bool:
        """Whether a file of all images is written."""
        return (self.json, self.csv, self.report) != (None, None, None)

    def write_tables(self, model: dict[str, Any], rows: Sequence[Row]) -> list[Path]:
        """Writes the JSON and the CSV file, as far as they are wanted; the files.

        Raises:
            UsageError: One of them cannot be written.

        """
        if self.json is not None:
            write_json(self.json, model, rows)
        if self.csv is not None:
            write_csv(self.csv, model, rows)
        return [path for path in (self.json, self.csv) if path is not None]
