"""What the values of a TIFF mean: how many bits they have, and whether low ones are white."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tones:
    """What the values of a TIFF mean.

    Attributes:
        bits: Bits of whole numbers without a sign, up to 16; None of other numbers.
        low_is_white: Low values are white (WhiteIsZero, MINISWHITE).
        is_turned: The reader has turned them round already, so that low ones are black.

    """

    bits: int | None = None
    low_is_white: bool = False
    is_turned: bool = False

    @property
    def most(self) -> int | None:
        """The largest value that whole numbers of so many bits can have."""
        return None if self.bits is None else 2**self.bits - 1

    @property
    def black(self) -> int | None:
        """The value of black where low ones are white, and are not turned round yet; None where that is not known."""
        return self.most if self.low_is_white and not self.is_turned else None

    def read(self, stored: float) -> float:
        """A stored value as the reader gives it."""
        return 255 - stored if self.is_turned else stored


NO_TONES = Tones()
"""Of what is not a TIFF."""
