"""What tests of the runtime share."""

from __future__ import annotations

import pytest

from camgraph_runtime import Explainer
from support.tiny_explainer import ONE, TINY


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    """The tiny graph, loaded."""
    return Explainer(TINY.serialize(), threads=ONE)
