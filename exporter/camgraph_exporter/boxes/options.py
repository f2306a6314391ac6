"""What the user says about the boxes of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting
from camgraph_exporter.boxes.form import FORMATS, UNITS
from camgraph_exporter.score.columns import COLUMNS

NO_BACKGROUND = "none"


@dataclass(frozen=True, kw_only=True)
class BoxOptions:
    """What the user says about boxes; None where it is found automatically.

    Raises:
        UsageError: there is no such format or unit.

    """

    boxes: Annotated[
        str | None,
        Setting(
            "Tensor of a detector's decoded boxes, one for each candidate: an output or an inner tensor. "
            "Default: found by itself.",
            metavar="TENSOR",
        ),
    ] = None
    columns: Annotated[
        str | None,
        Setting(
            "What an output holds of each candidate of a detector, in this order. Default: told by how it is computed.",
            choices=COLUMNS,
        ),
    ] = None
    box_format: Annotated[
        str | None,
        Setting(
            "What the four numbers of a box are: corners, corner and size, centre and size, or the output of a YOLOX "
            "that does not decode its boxes. Default: told by their values on random images.",
            choices=FORMATS,
        ),
    ] = None
    box_unit: Annotated[
        str | None,
        Setting(
            "Whether boxes are in pixels of the network's input or in shares of its sides. Default: told by their "
            "values on random images.",
            choices=UNITS,
        ),
    ] = None
    background: Annotated[
        str | None,
        Setting(
            "Class of a detector that stands for no object, by its index, or none. "
            "Default: told by random images where a softmax needs one.",
            metavar="N|none",
        ),
    ] = None

    @property
    def says_anything(self) -> bool:
        """Whether the user says anything."""
        stated = (self.boxes, self.columns, self.box_format, self.box_unit, self.background)
        return any(x is not None for x in stated)

    def background_among(self, num_classes: int) -> int | None:
        """Return the class that the user names as the background; None for none, or where nothing is said.

        Raises:
            UsageError: there is no such class.

        """
        if self.background in (None, NO_BACKGROUND):
            return None
        text = str(self.background)
        if not text.isdecimal() or int(text) >= num_classes:
            raise UsageError(
                f"The background {text!r} is not one of the {num_classes} classes; give an index from 0 to "
                f"{num_classes - 1}, or none."
            )
        return int(text)
