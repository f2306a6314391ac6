"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with trained models, photos and golden arrays that are too large for the repository."""
    named = os.environ.get("CAMGRAPH_SHARED")
    folder = Path(named) if named else _REPOSITORY.parent / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip(f"The models, photos and golden arrays are missing: {folder} is not there (see CAMGRAPH_SHARED).")
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder with the golden arrays that the repository has."""
    return _REPOSITORY / "tests" / "data"
