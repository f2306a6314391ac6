"""The graph of a run, read once and sent to all processes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camgraph_client.bulk.store import opened, whole
from camgraph_core.errors import InvalidGraphError, UsageError
from camgraph_core.redaction import without_credentials
from camgraph_core.request import Request
from camgraph_core.style import Style
from camgraph_runtime import Explainer
from camgraph_runtime.digest import check_digest, digest_of_bytes, digest_of_file
from camgraph_runtime.onnx_file import external_locations


@dataclass(frozen=True)
class Graph:
    """An explainable graph.

    Attributes:
        content: Its bytes, or its path where its weights lie beside it: then each machine must have them there.
        sha256: Its digest.
        explainer: The graph in this process, on the CPU.

    """

    content: bytes | str
    sha256: str
    explainer: Explainer

    @classmethod
    def read(cls, url: str) -> Graph:
        """Reads a graph.

        Args:
            url: A path, or a URL that fsspec knows.

        Raises:
            UsageError: There is no such kind of URL, or the graph there has weights in other files.
            InvalidGraphError: It cannot be read, is not an explainable graph, or has changed since it was exported.

        """
        files, path = opened(whole(url))
        shown = without_credentials(url)
        try:
            content: bytes = files.cat_file(path)
        except Exception as error:  # each file system of fsspec has errors of its own
            reason = without_credentials(f"{type(error).__name__}: {error}")
            raise InvalidGraphError(f"{shown} cannot be read ({reason}).") from error
        if not external_locations(io.BytesIO(content), len(content)):
            explainer = Explainer(content)
            return cls(content, _checked(shown, explainer, digest_of_bytes(content).graph_sha256), explainer)
        if "file" not in files.protocol:
            raise UsageError(f"{shown} has weights in other files. Copy them all to the same path of each machine.")
        explainer = Explainer(path)
        check_digest(Path(path), explainer.manifest.digest)
        return cls(path, digest_of_file(Path(path)).graph_sha256, explainer)

    def check(self, keywords: Mapping[str, Any]) -> None:
        """Checks what is asked of each image, before there is any work.

        Args:
            keywords: Those of `Explains.explain`.

        Raises:
            CamgraphError: The graph cannot do it.

        """
        style, rest = Style(max_side=keywords["max_side"]), {**keywords}
        del rest["max_side"]
        self.explainer.plan(Request(**rest, style=style))


def _checked(name: str, explainer: Explainer, sha256: str) -> str:
    stated = explainer.manifest.digest.graph_sha256
    if stated and stated != sha256:
        raise InvalidGraphError(f"{name} has changed since it was exported. Copy it again, or export the model again.")
    return sha256
