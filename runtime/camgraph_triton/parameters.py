"""Parameters of a model's configuration: what one request may take, and how a graph runs in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Self

from camgraph_core.settings import Setting
from camgraph_runtime import Limits

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """What one request may take. An operator changes it in the configuration of the model."""

    max_targets: Annotated[
        int, Setting("Largest number of targets per request, including those of top_k.", at_least=1, at_most=100_000)
    ] = 100
    max_megapixels: Annotated[
        float,
        Setting("Largest photo in millions of pixels. The check comes before decoding.", above=0, at_most=10_000.0),
    ] = 50.0
    max_response_mib: Annotated[int, Setting("Most MiB of the heatmaps of one answer.", at_least=1, at_most=2047)] = 256
    max_output_megapixels: Annotated[
        float,
        Setting(
            "Largest sum of the pixels of all pictures drawn for one request, in millions.",
            above=0,
            at_most=1_000_000.0,
        ),
    ] = 400.0

    @property
    def of_runtime(self) -> Limits:
        """Those that the runtime checks."""
        return Limits(max_pixels=round(self.max_megapixels * 1e6), max_targets=self.max_targets)

    def to_parameters(self) -> dict[str, str]:
        """Their texts in a configuration, by name."""
        return {name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_parameters(cls, texts: Mapping[str, str]) -> Self:
        """Those of a configuration."""
        readers: dict[str, Any] = {field.name: type(field.default) for field in fields(cls)}
        return cls(**{name: read(texts[name]) for name, read in readers.items() if name in texts})
