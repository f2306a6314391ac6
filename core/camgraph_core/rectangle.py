"""A rectangle on a picture: a box that a detector found, or that of a hot region."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in pixels: pixel i covers [i, i + 1).

    Attributes:
        left: Where it begins across.
        top: Where it begins down.
        right: Where it ends across.
        bottom: Where it ends down.

    """

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        """Its corners, rounded: "10, 20 - 110, 220"."""
        return f"{self.left:.0f}, {self.top:.0f} - {self.right:.0f}, {self.bottom:.0f}"

    @property
    def area(self) -> float:
        """Its area in square pixels; zero where it is turned inside out."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)

    def scaled(self, across: float, down: float) -> Rectangle:
        """The rectangle on a picture that is so many times as wide and as high."""
        return Rectangle(self.left * across, self.top * down, self.right * across, self.bottom * down)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies in it, its edges included."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom
