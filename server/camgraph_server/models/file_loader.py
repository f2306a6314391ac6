"""From a file to an explainer: may it be loaded, does it break the process that loads it, is it what was proven."""

from __future__ import annotations

from pathlib import Path

from camgraph_runtime.explainers import AnyExplainer
from camgraph_server.config import ServerConfig
from camgraph_server.models.loading import load_checked, load_explainer
from camgraph_server.models.pins import Pins
from camgraph_server.models.signature import Signatures
from camgraph_server.models.trial import Trial


class FileLoader:
    """Loads the files of a repository, as the settings say.

    Args:
        config: The settings.
        repository: The folder of the models.

    Raises:
        UsageError: Signatures are asked for, and the package for them is not installed.
    """

    def __init__(self, config: ServerConfig, repository: Path) -> None:
        self._config = config
        self._trial = Trial(config, config.load_timeout) if config.trial_load else None
        self._guards: list[Pins | Signatures] = []
        if config.pins is not None:
            self._guards.append(Pins(config.pins, repository))
        if config.signature_key is not None:
            self._guards.append(Signatures(config.signature_key))

    def __call__(self, path: Path) -> AnyExplainer:
        """The explainer of a graph's file, which has explained an image.

        Raises:
            InvalidGraphError: The file may not be loaded, or cannot be.
            DeviceError: The device is not available.
        """
        for guard in self._guards:
            guard.check(path)  # before anything else reads it
        if self._trial is None:
            return load_checked(self._config, path)
        memory = self._trial.check(path)
        explainer = load_explainer(self._config, path)
        explainer.give_back(memory)
        return explainer

    def rest(self) -> None:
        """Gives back what is needed only while files are loaded."""
        if self._trial is not None:
            self._trial.rest()

    def close(self) -> None:
        """Loads nothing more, and ends what is being tried. It blocks."""
        if self._trial is not None:
            self._trial.close()
