"""PyAV, which decodes and encodes videos."""

from __future__ import annotations

from types import ModuleType

from camgraph_core.errors import UsageError


def pyav() -> ModuleType:
    """The module `av`.

    Raises:
        UsageError: It is not installed.

    """
    try:
        import av  # noqa: PLC0415 - an extra: only videos need it
        import av.logging  # noqa: PLC0415 - as above
    except ImportError as error:
        raise UsageError(
            "Videos need PyAV, which is not installed. Install the extra: pip install 'camgraph[video]'."
        ) from error
    # FFmpeg would write its own remarks on damaged files to stderr.
    av.logging.set_level(None)
    return av
