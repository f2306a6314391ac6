"""The models of a directory: loaded, looked up, and changed as the directory changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from camgraph_core.errors import NotFoundError, NotReadyError
from camgraph_core.models import RepositoryEntry
from camgraph_server.errors import RepositoryError
from camgraph_server.models.attempt import Attempt, Loader, attempt
from camgraph_server.models.discovery import Entry, Key, Listing, discover
from camgraph_server.models.memory import ModelMemory
from camgraph_server.models.model import Model, ModelState
from camgraph_server.models.snapshot import Snapshot
from camgraph_server.models.source import LocalFolder, Source
from camgraph_server.observe.log import log_event

_HANGS = "A run of it did not end, and holds its memory until the server is started again. Load it again to try again."
_UNLOADED = "It was unloaded. Load it again to use it."
_log = logging.getLogger("camgraph.repository")

Reasons: TypeAlias = dict[Key, str]
"""Why each version cannot be loaded; empty texts for those that can."""

Agree: TypeAlias = Callable[[Reasons], Reasons]
"""Decides with others on a change, before anything takes the place of anything: from own reasons to those of all."""


class ModelRepository:
    """The models of a directory.

    Any thread may look models up. What changes them blocks, and one thread alone does it: see `Keeper`.

    Args:
        source: Where the models come from.
        loader: Makes an explainer of an explainable graph's file, or says why it cannot.
        memory: Counts what the models take.

    Attributes:
        snapshot: The models now. A change puts another snapshot in its place.

    Raises:
        RepositoryError: The directory does not exist or cannot be read.
    """

    def __init__(self, source: Source | Path, loader: Loader, memory: ModelMemory | None = None) -> None:
        self._source = LocalFolder(source) if isinstance(source, Path) else source
        self._memory = memory or ModelMemory()
        self._loader = loader
        self._directory = self._source.folder
        self._is_stopping = False
        self._watchers: list[Callable[[], None]] = []
        self._trouble = ""
        self._ignored: frozenset[str] = frozenset()
        self._unloaded: set[Key] = set()
        listing = discover(self._directory)
        self._note_ignored(listing)
        self._seen = {entry.key: entry for entry in listing.entries}
        self.snapshot = Snapshot(map(self._first_state, listing.entries))

    @property
    def models(self) -> list[Model]:
        """All models, sorted by name, then version."""
        return list(self.snapshot.models)

    def find(self, name: str, version: str = "") -> Model:
        """See `Snapshot.find`."""
        return self.snapshot.find(name, version)

    @contextmanager
    def lent(self, name: str, version: str = "") -> Iterator[Model]:
        """The model of that name, as `find` gives it. If it is ready it stays open as long as it is lent.

        Raises:
            InvalidInputError: No name was given, and there is more than one model.
            NotFoundError: There is no such model, or no such version of it.
        """
        model = self.find(name, version)
        while model.loaded is not None and not model.loaded.enter():
            model = self.find(name, version)  # it was replaced meanwhile
        try:
            yield model
        finally:
            if model.loaded is not None:
                model.loaded.leave()

    def index(self) -> list[RepositoryEntry]:
        """All versions of all models with their files, sorted by name, then version."""
        return [
            RepositoryEntry(
                model.info, model.entry.path.relative_to(self._directory).as_posix(), size_bytes=model.entry.size
            )
            for model in self.snapshot.models
        ]

    def on_change(self, watcher: Callable[[], None]) -> None:
        """Has a function called after each change of `snapshot`, on the thread that makes it."""
        self._watchers.append(watcher)

    def load(self) -> None:
        """Loads every model and logs what became of each; one that fails does not stop the others.

        Raises:
            DeviceError: The device is not available, for any model.
        """
        self._fetch_first()
        if not self.snapshot.models:
            log_event(_log, logging.WARNING, "there is no model", path=str(self._directory))
        for model in self.snapshot.models:
            if self._is_stopping:
                return
            if model.state is ModelState.LOADING:
                self._settle(self._try(model.entry, device_error_is_fatal=True))
            else:
                _log_state(model)
        self._log_failed()

    def look(self) -> None:
        """Follows changes of the directory: a file that is new, other or gone, and has been so since the last look."""
        self._follow(in_haste=False)

    def reload(self) -> None:
        """Follows all changes of the directory now, and tries again what failed."""
        self._follow(in_haste=True)

    def load_model(self, name: str, version: str = "", agree: Agree = lambda own: own) -> list[Model]:
        """Loads a model that was unloaded, failed, changed or is new; without a version all its versions.

        Args:
            name: The model.
            version: The version.
            agree: Decides with other processes what becomes of each version.

        Raises:
            NotFoundError: There is no such model, or no such version of it, in the directory.
            NotReadyError: It cannot be loaded. Versions that were loaded before serve as they did.
        """
        try:
            listed = Snapshot(map(Model, self._look_through().entries))
        except RepositoryError as error:
            raise NotReadyError(str(error)) from error
        wanted = [listed.find(name, version)] if version else listed.versions(name)
        attempts = {}
        for model in wanted:
            self._seen[model.entry.key] = model.entry
            current = self.snapshot.get(model.entry.key)
            if current is None or current.loaded is None or current.entry != model.entry or current.reason:
                attempts[model.entry.key] = self._try(model.entry)
        own = {model.entry.key: "" for model in wanted} | {key: each.reason for key, each in attempts.items()}
        agreed = agree(own)
        for key, made in attempts.items():
            self._settle(replace(made, reason=agreed[key]))
        self._unloaded -= {key for key in own if not agreed[key]}
        models = [self.snapshot.find(*model.entry.key) for model in wanted]
        reasons = [(model, model.reason or agreed[model.entry.key]) for model in models]
        if problems := [f"{model.name} version {model.version}: {reason}" for model, reason in reasons if reason]:
            raise NotReadyError(" ".join(problems))
        return models

    def unload_model(self, name: str, version: str = "", agree: Agree = lambda own: own) -> list[Model]:
        """Unloads a model until `load_model`; without a version all its versions. Calls that use it are finished.

        Args:
            name: The model.
            version: The version.
            agree: Decides with other processes which versions are meant.

        Raises:
            NotFoundError: There is no such model, or no such version of it.
        """
        try:
            wanted = [self.snapshot.find(name, version)] if version else self.snapshot.versions(name)
        except NotFoundError:
            if not (agreed := agree({})):  # others may know it already
                raise
        else:
            agreed = agree({model.entry.key: "" for model in wanted})
        self._unload(agreed.keys())
        return [model for key in agreed if (model := self.snapshot.get(key)) is not None]

    def take_up(self, unloaded: Set[Key]) -> None:
        """Has the same versions unloaded as other processes: these, and none besides."""
        released, self._unloaded = self._unloaded - unloaded, set()
        for key in sorted(released):
            if (model := self.snapshot.get(key)) is not None:
                self._settle(self._try(model.entry))
        self._unload(unloaded)

    def give_up(self, model: Model) -> None:
        """Takes a model out of service of which a run does not end; calls that wait for it are refused."""
        current = self.snapshot.get(model.entry.key)
        if model.loaded is None or current is None or current.loaded is not model.loaded:
            return  # it has been replaced meanwhile
        self._put(Model(current.entry, ModelState.FAILED, _HANGS))
        model.loaded.abandon()

    def stop_loading(self) -> None:
        """Loads no further model; the one that is being loaded cannot be interrupted."""
        self._is_stopping = True

    def close(self) -> None:
        """Closes every explainer, as soon as nobody uses it, and removes what was copied."""
        for model in self.snapshot.models:
            if model.loaded is not None:
                model.loaded.retire()
        self._source.close()

    def _fetch_first(self) -> None:
        """Fetches what comes from elsewhere. If that fails, later looks try again."""
        try:
            listing = self._look_through()
        except RepositoryError as error:
            self._say_trouble(error)
            return
        for entry in listing.entries:
            self._seen[entry.key] = entry
            if self.snapshot.get(entry.key) is None:
                self._swap(self.snapshot.replaced(self._first_state(entry)))

    def _first_state(self, entry: Entry) -> Model:
        if entry.key in self._unloaded:
            return Model(entry, ModelState.UNLOADED, _UNLOADED)
        return Model(entry, ModelState.FAILED, entry.problem) if entry.problem else Model(entry)

    def _follow(self, *, in_haste: bool) -> None:
        try:
            listing = self._look_through()
        except RepositoryError as error:
            self._say_trouble(error)  # what is loaded serves on
            return
        self._trouble = ""
        before, self._seen = self._seen, {entry.key: entry for entry in listing.entries}
        for key in sorted({*self._seen, *(model.entry.key for model in self.snapshot.models)}):
            entry, current = self._seen.get(key), self.snapshot.get(key)
            is_quiet = in_haste or before.get(key) == entry
            if self._is_stopping or not is_quiet:
                continue
            if entry is None:
                if key[0] not in listing.unreadable:
                    self._remove(key)
            elif current is None or current.entry != entry or (in_haste and current.reason):
                self._follow_entry(entry)

    def _follow_entry(self, entry: Entry) -> None:
        if entry.key in self._unloaded:
            self._put(Model(entry, ModelState.UNLOADED, _UNLOADED))
        else:
            self._settle(self._try(entry))

    def _say_trouble(self, error: RepositoryError) -> None:
        if str(error) != self._trouble:
            log_event(_log, logging.ERROR, "the repository cannot be looked through", reason=str(error))
        self._trouble = str(error)

    def _look_through(self) -> Listing:
        self._source.fetch()
        listing = discover(self._directory)
        self._note_ignored(listing)
        return listing

    def _unload(self, keys: Set[Key]) -> None:
        """Unloads versions, also those whose files are not there yet."""
        self._unloaded |= keys
        for key in sorted(keys):
            current = self.snapshot.get(key)
            if current is not None and current.state is not ModelState.UNLOADED:
                self._put(Model(current.entry, ModelState.UNLOADED, _UNLOADED))

    def _try(self, entry: Entry, *, device_error_is_fatal: bool = False) -> Attempt:
        """Loads files beside what serves; nothing takes its place yet."""
        if entry.problem:
            return Attempt(entry, reason=entry.problem)
        current = self.snapshot.get(entry.key)
        if current is None or current.loaded is None:
            self._put(Model(entry))
        return attempt(entry, self._loader, self._memory, device_error_is_fatal=device_error_is_fatal)

    def _settle(self, made: Attempt) -> None:
        """Has what was loaded take the place of what was there, unless there is a reason against it."""
        if not made.reason:
            self._put(Model(made.entry, ModelState.READY, loaded=made.loaded))
            return
        if made.loaded is not None:
            made.loaded.retire()
        self._fail(made.entry, made.reason)

    def _fail(self, entry: Entry, reason: str) -> None:
        """Says what is wrong with a model; what was loaded of it before serves on."""
        current = self.snapshot.get(entry.key)
        if current is not None and current.loaded is not None:
            reason = f"Its files changed and cannot be loaded, so it serves as it was before. {reason}"
            self._put(replace(current, entry=entry, reason=reason))
        elif entry.key in self._unloaded:
            self._put(Model(entry, ModelState.UNLOADED, f"It was unloaded, and cannot be loaded again. {reason}"))
        else:
            self._put(Model(entry, ModelState.FAILED, reason))

    def _put(self, model: Model) -> None:
        """Has a model take the place of the one of its name and version, for all calls that come from now on."""
        before = self.snapshot.get(model.entry.key)
        self._swap(self.snapshot.replaced(model))
        if before is not None and before.loaded is not None and before.loaded is not model.loaded:
            before.loaded.retire()
        if model.state is not ModelState.LOADING:
            _log_state(model)

    def _remove(self, key: Key) -> None:
        model = self.snapshot.get(key)
        self._swap(self.snapshot.without(key))
        if model is not None:
            if model.loaded is not None:
                model.loaded.retire()
            log_event(_log, logging.INFO, "model removed", model=model.name, version=model.version)

    def _swap(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        for watcher in self._watchers:
            watcher()

    def _note_ignored(self, listing: Listing) -> None:
        for path in sorted(listing.ignored - self._ignored):
            log_event(_log, logging.WARNING, "ignored, as its name is not UTF-8", path=path)
        self._ignored = listing.ignored

    def _log_failed(self) -> None:
        """All that is wrong in one line, after a line for each."""
        failed = [f"{model.name}/{model.version}" for model in self.snapshot.models if model.reason]
        if failed:
            count = f"{len(failed)} of {len(self.snapshot.models)}"
            log_event(_log, logging.ERROR, "models that are not served", count=count, models=", ".join(failed))


def _log_state(model: Model) -> None:
    level = logging.INFO if model.reason in {"", _UNLOADED} else logging.ERROR
    is_as_before = model.state is ModelState.READY and model.reason
    log_event(
        _log,
        level,
        "model not replaced" if is_as_before else f"model {model.state.value}",
        model=model.name,
        version=model.version,
        reason=model.reason or None,
        digest=None if model.explainer is None or model.explainer.manifest.digest.graph_sha256 else "not stated",
    )
