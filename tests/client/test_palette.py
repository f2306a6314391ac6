"""The colours of the pages: text stands out from every ground, in light and in dark."""

from __future__ import annotations

import re
from itertools import product

import pytest

from camgraph_client.html.document import PALETTE
from support.contrast import AA, colour, contrast

LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#\w{6});", part)) for part in PALETTE.read_text("utf-8").split("@media"))


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out(colours: dict[str, str]) -> None:
    assert set(colours) == set(LIGHT)
    for ink, ground in [*product(("ink", "faint", "bad", "good"), ("paper", "card")), ("ink", "notice")]:
        assert contrast(colour(colours[ink]), colour(colours[ground])) >= AA, (ink, ground)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast(colour("#777777"), colour("rgb(255, 255, 255)")) == pytest.approx(4.478, abs=1e-3)
