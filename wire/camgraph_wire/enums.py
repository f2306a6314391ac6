"""The enums of the wire and their names in Python, each made from the enum's own name: there is no second table."""

from __future__ import annotations

from typing import Any

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.names import unknown_name


class EnumNames:
    """The names of an enum's values: ``OUTPUT_KIND_HEATMAP_PNG`` is "heatmap-png".

    Zero, which every enum has for what is not stated, has no name.

    Args:
        kind: What a value is called in messages, such as "profile".
        field: The field that holds it, as a caller of another language knows it.
        enum: The enum of the generated stubs.

    """

    def __init__(self, kind: str, field: str, enum: Any) -> None:
        self._kind, self._field = kind, field
        prefix = enum.Name(0).removesuffix("UNSPECIFIED")
        self._names: dict[int, str] = {
            value: name.removeprefix(prefix).lower().replace("_", "-") for name, value in enum.items() if value
        }
        self._values = {name: value for value, name in self._names.items()}

    def __iter__(self) -> Any:
        return iter(self._values)

    def value(self, name: str) -> Any:
        """The value of a name.

        Raises:
            UsageError: There is no such name.

        """
        if name not in self._values:
            raise unknown_name(self._kind, name, self._values)
        return self._values[name]

    def name(self, value: int, default: str | None = None) -> str:
        """The name of a value, and ``default`` for zero.

        Raises:
            InvalidInputError: The value is not known; a newer sender may have sent it.

        """
        if value == 0 and default is not None:
            return default
        if value not in self._names:
            raise InvalidInputError(f"The field {self._field} has the value {value}, which is not known here.")
        return self._names[value]


PROFILES = EnumNames("profile", "profile", pb.Profile)
COLORMAPS = EnumNames("colour map", "overlay.colormap", pb.Colormap)
OPACITIES = EnumNames("opacity", "overlay.opacity", pb.Opacity)
REFERENCE_MODES = EnumNames("reference mode", "references.mode", pb.ReferenceMode)
OUTPUTS = EnumNames("output", "outputs", pb.OutputKind)
MODEL_STATES = EnumNames("state", "state", pb.ModelState)
