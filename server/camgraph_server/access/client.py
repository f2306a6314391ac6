"""One client of the server, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from camgraph_core.errors import ForbiddenError

EVERYTHING = ("*",)


@dataclass(frozen=True)
class Client:
    """Who calls.

    Attributes:
        name: Its name in the clients file or in its certificate, or the machine that it calls from.
        is_known: Whether it showed who it is.
        models: Names of the models that it may use, with `*` and `?` as in file names.
        rate: Calls per second in the long run; None means without a limit.
        burst: Calls that may come at once after a pause.
        calls_at_once: Calls that may be in flight together; None means without a limit.
        control: Whether it may load and unload models.
    """

    name: str
    is_known: bool = False
    models: tuple[str, ...] = EVERYTHING
    rate: float | None = None
    burst: float = 1.0
    calls_at_once: int | None = None
    control: bool = True

    @property
    def may_use_all(self) -> bool:
        """Whether no model is withheld from it."""
        return "*" in self.models

    def may_use(self, model: str) -> bool:
        """Whether it may use a model of that name."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)

    def check_model(self, model: str) -> None:
        """Refuses a model that is withheld; whether there is one does not show.

        Raises:
            ForbiddenError: The client may not use a model of that name.
        """
        if not self.may_use(model):
            raise ForbiddenError(f"You may not use a model called {model!r} here; ask the operator of the server.")

    def check_control(self) -> None:
        """Refuses to load or unload models.

        Raises:
            ForbiddenError: The client may not.
        """
        if not self.control:
            raise ForbiddenError("You may not load or unload models here; ask the operator of the server.")
