"""Files of settings that are followed: what could not be read once is read again."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from camgraph_core.errors import UsageError
from camgraph_server.followed import Followed


def test_what_could_not_be_read_once_is_read_although_the_file_is_the_same(tmp_path: Path, caplog) -> None:
    """As where there was no descriptor for it, or the clock was wrong."""
    caplog.set_level(logging.INFO, "camgraph.access")
    path = tmp_path / "clients.toml"
    path.write_text("old", encoding="utf-8")
    trouble: list[Exception] = []

    def read() -> str:
        if trouble:
            raise trouble[0]
        return path.read_text(encoding="utf-8")

    followed = Followed("the clients file", [path], read)
    followed.open()
    path.write_text("newer", encoding="utf-8")
    for error in (UsageError("It cannot be read: too many open files."), RuntimeError("unforeseen")):
        trouble[:] = [error]
        for _ in range(3):
            try:
                followed.look()
            except RuntimeError:  # is logged by the thread that looks
                assert isinstance(error, RuntimeError)
            assert followed.get() == "old"
    trouble.clear()
    followed.look()
    assert followed.get() == "newer"
    followed.look()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the clients file changed and cannot be used", "the clients file changed"]


def test_files_on_a_file_system_that_goes_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens"
    path.write_text("first", encoding="utf-8")

    def read() -> str:
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from error

    def gone(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    followed = Followed("the tokens", [path], read)
    followed.open()
    with monkeypatch.context() as vanished:
        vanished.setattr(Path, "stat", gone)
        vanished.setattr(Path, "read_text", gone)
        followed.look()
        assert followed.get() == "first"
    path.write_text("second", encoding="utf-8")
    followed.look()
    assert followed.get() == "second"
