"""What explains with a graph, whether that takes single images or clips."""

from __future__ import annotations

from typing import Any, TypeAlias

from camgraph_runtime.clips.explainer import ClipExplainer
from camgraph_runtime.explainer import Explainer
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine

AnyExplainer: TypeAlias = Explainer | ClipExplainer
"""What explains single images, or clips."""


def explainer_of(engine: Engine, **options: Any) -> AnyExplainer:
    """What explains with a loaded graph.

    Args:
        engine: Has loaded the graph.
        options: Keywords of `Explainer`.

    Raises:
        InvalidGraphError: It is not an explainable graph.
        UnsupportedError: Its task is not known.

    """
    is_of_clips = manifest_from_metadata(engine.metadata, engine.name).input.HasField("clip")
    return ClipExplainer(engine, **options) if is_of_clips else Explainer(engine, **options)
