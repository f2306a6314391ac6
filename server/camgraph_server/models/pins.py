"""Models whose hashes the operator has written down. Whatever is unclear is a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from camgraph_core.errors import InvalidGraphError
from camgraph_runtime.bank.beside import bank_path
from camgraph_runtime.digest import digest_of_file, file_sha256

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class Pins:
    """The hashes of the files that may be loaded, in a file as ``sha256sum`` prints it: a hash and a path a line.

    Paths are relative to the repository. The file is read anew for each model, so that it can change with the models.

    Args:
        file: The file.
        repository: The folder of the models.
    """

    def __init__(self, file: Path, repository: Path) -> None:
        self._file = file
        self._repository = repository

    def check(self, path: Path) -> None:
        """Checks a graph, the files with its weights and its memory bank.

        Raises:
            InvalidGraphError: One of them has no pin or another hash, or the pins cannot be read.
        """
        pins = self._read()
        self._check_file(path, pins)
        for file in digest_of_file(path).data_files:
            self._check_file(path.parent / file.name, pins)
        if bank_path(path).exists():
            self._check_file(bank_path(path), pins)

    def _check_file(self, path: Path, pins: Mapping[str, str]) -> None:
        name = path.relative_to(self._repository).as_posix()
        if name not in pins:
            raise InvalidGraphError(f"{name} has no hash in {self._file}, so the model is not loaded.")
        if file_sha256(path) != pins[name]:
            raise InvalidGraphError(f"{name} has not the hash that {self._file} states, so the model is not loaded.")

    def _read(self) -> Mapping[str, str]:
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidGraphError(f"{self._file}, which pins models, cannot be read ({error}).") from error
        pins: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            found = _LINE.fullmatch(line)
            if found is None:
                raise InvalidGraphError(
                    f"Line {number} of {self._file} is not a hash and a path, as sha256sum prints them. No model is "
                    "loaded."
                )
            name = found[2].removeprefix("./")
            if pins.setdefault(name, found[1]) != found[1]:
                raise InvalidGraphError(f"{self._file} states two hashes of {name}. No model is loaded.")
        return pins
