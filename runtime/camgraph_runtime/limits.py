"""What one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one request may ask for: pixels of a photo (checked before it is decoded), and targets."""

    max_pixels: int = 50_000_000
    max_targets: int = 100
