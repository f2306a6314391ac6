"""Images that `camgraph explain --reference` holds every image against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_client.cli.photos import Photo, named, photos_of
from camgraph_client.cli.source import Source
from camgraph_core.errors import InvalidInputError, TargetError, UnsupportedError, UsageError
from camgraph_core.place import MOST_REFERENCES
from camgraph_core.settings import Setting, check_settings
from camgraph_core.target import Target

_OTHERS = ("target", "top_k", "contrast", "mask", "anchor", "objects", "at", "cotangent")
"""Options that say what is explained in another way."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What every image is held against: files, folders and patterns, as images are named."""

    reference: Annotated[
        Sequence[str],
        Setting(
            "Embedding: image, folder or pattern to hold each IMAGE against, in place of targets; repeatable. Shows "
            "what makes them alike, with --negative what makes them different.",
            repeated=True,
            metavar="IMAGE",
        ),
    ] = ()
    reference_mode: Annotated[
        Literal["mean", "nearest", "each"],
        Setting(
            "How several references are taken: by the mean of their directions, the most similar one alone, or each by "
            "itself."
        ),
    ] = "mean"
    contrast_reference: Annotated[
        Sequence[str],
        Setting(
            "Embedding: image, folder or pattern to hold the references against: why like those, and not like these? "
            "Several are taken by their mean; repeatable.",
            repeated=True,
            metavar="IMAGE",
        ),
    ] = ()

    def __post_init__(self) -> None:
        check_settings(self)
        if self.contrast_reference and not self.reference:
            raise UsageError("--contrast-reference goes with --reference.")

    def check(self, options: dict[str, Any]) -> None:
        """Checks that nothing else says what is explained.

        Raises:
            UsageError: Something does.

        """
        named = [name for name in _OTHERS if options[name] not in (None, (), 0)]
        if self.reference and named:
            others = ", ".join(f"--{name.replace('_', '-').removesuffix('s')}" for name in named)
            raise UsageError(f"--reference says what is explained; leave out {others}.")

    def photos(self, output: Path) -> tuple[list[Photo], list[Photo]]:
        """The references, and what they are held against; ``output`` has the pictures of earlier runs.

        Raises:
            UsageError: A folder has no pictures, a pattern matches none, or there are too many.

        """
        references, contrasts = (
            photos_of(tuple(map(Path, names)), output) for names in (self.reference, self.contrast_reference)
        )
        most = max(len(references), len(contrasts))
        if most > MOST_REFERENCES:
            raise UsageError(f"There are {most} references, but the limit is {MOST_REFERENCES}.")
        return references, contrasts

    def targets(
        self, source: Source, photos: tuple[Sequence[Photo], Sequence[Photo]], asked: dict[str, Any], *, negative: bool
    ) -> tuple[Target, ...]:
        """One target, or one for each reference; each photo is run through the model for its embedding.

        Args:
            source: What explains.
            photos: What `photos` gave.
            asked: The keywords of `Explains.explain` for each image.
            negative: Whether to show what makes images different.

        Raises:
            CamgraphError: A reference cannot be read, or the model gives no embeddings.

        """
        if source.manifest.task != pb.TASK_EMBEDDING:
            raise UnsupportedError(
                "--reference needs a graph for embeddings, which this one is not. Export the model with "
                "--task embedding; with --score TENSOR an inner tensor [N, D] of a classifier is the embedding."
            )
        references, contrasts = photos
        reading = {name: asked[name] for name in ("window", "frame", "nodata", "scaled_decoding")}
        contrast = _target(contrasts, source, reading, "mean") if contrasts else None
        if self.reference_mode != "each":
            return (_target(references, source, reading, self.reference_mode, contrast, negative=negative),)
        return tuple(_target([photo], source, reading, "mean", contrast, negative=negative) for photo in references)


def _target(
    photos: Sequence[Photo],
    source: Source,
    reading: dict[str, Any],
    mode: str,
    contrast: Target | None = None,
    *,
    negative: bool = False,
) -> Target:
    rows = []
    for photo in photos:
        try:
            embedding = source.explains.explain(photo.path, **reading).embedding
        except InvalidInputError as error:
            raise type(error)(named(photo.path, str(error))) from error
        if embedding is None or not (np.isfinite(embedding).all() and embedding.any()):
            raise TargetError(f"The embedding of the reference {photo.shown} has no direction. Leave it out.")
        rows.append(embedding)
    names = [Path(photo.shown).name for photo in photos]
    return Target.similar_to(np.stack(rows), names=names, mode=mode, contrast=contrast, negative=negative)
