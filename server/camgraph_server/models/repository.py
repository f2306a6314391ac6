"""The models of a directory: loaded, looked up, and changed as the directory changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from camgraph_core.errors import CamgraphError, DeviceError, InvalidGraphError, NotReadyError
from camgraph_core.models import RepositoryEntry
from camgraph_runtime.explainers import AnyExplainer
from camgraph_server.errors import RepositoryError
from camgraph_server.heap import trim
from camgraph_server.models.discovery import Entry, Key, Listing, discover
from camgraph_server.models.loaded import Loaded
from camgraph_server.models.memory import ModelMemory
from camgraph_server.models.model import Model, ModelState
from camgraph_server.models.snapshot import Snapshot
from camgraph_server.models.source import LocalFolder, Source
from camgraph_server.observe.log import log_event

_HANGS = "A run of it did not end, and holds its memory until the server is started again. Load it again to try again."
_UNLOADED = "It was unloaded. Load it again to use it."
_log = logging.getLogger("camgraph.repository")

Loader = Callable[[Path], AnyExplainer]


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
        listing = discover(self._directory)
        self._note_ignored(listing)
        self._seen = {entry.key: entry for entry in listing.entries}
        self.snapshot = Snapshot(map(_first_state, listing.entries))

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
                self._load(model.entry, device_error_is_fatal=True)
            else:
                _log_state(model)
        self._log_failed()

    def look(self) -> None:
        """Follows changes of the directory: a file that is new, other or gone, and has been so since the last look."""
        self._follow(in_haste=False)

    def reload(self) -> None:
        """Follows all changes of the directory now, and tries again what failed."""
        self._follow(in_haste=True)

    def load_model(self, name: str, version: str = "") -> list[Model]:
        """Loads a model that was unloaded, failed, changed or is new; without a version all its versions.

        Raises:
            NotFoundError: There is no such model, or no such version of it, in the directory.
            NotReadyError: It cannot be loaded. Versions that were loaded before serve as they did.
        """
        try:
            listed = Snapshot(map(Model, self._look_through().entries))
        except RepositoryError as error:
            raise NotReadyError(str(error)) from error
        wanted = [listed.find(name, version)] if version else listed.versions(name)
        for model in wanted:
            self._seen[model.entry.key] = model.entry
            current = self.snapshot.get(model.entry.key)
            if current is None or current.loaded is None or current.entry != model.entry or current.reason:
                self._settle(model.entry)
        models = [self.snapshot.find(*model.entry.key) for model in wanted]
        problems = [f"{model.name} version {model.version}: {model.reason}" for model in models if model.reason]
        if problems:
            raise NotReadyError(" ".join(problems))
        return models

    def unload_model(self, name: str, version: str = "") -> list[Model]:
        """Unloads a model until `load_model`; without a version all its versions. Calls that use it are finished.

        Raises:
            NotFoundError: There is no such model, or no such version of it.
        """
        wanted = [self.snapshot.find(name, version)] if version else self.snapshot.versions(name)
        for model in wanted:
            self._put(Model(model.entry, ModelState.UNLOADED, _UNLOADED))
        return [self.snapshot.find(*model.entry.key) for model in wanted]

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
                self._swap(self.snapshot.replaced(_first_state(entry)))

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
                self._follow_entry(entry, current)

    def _follow_entry(self, entry: Entry, current: Model | None) -> None:
        if current is not None and current.state is ModelState.UNLOADED:
            self._put(replace(current, entry=entry))
        else:
            self._settle(entry)

    def _say_trouble(self, error: RepositoryError) -> None:
        if str(error) != self._trouble:
            log_event(_log, logging.ERROR, "the repository cannot be looked through", reason=str(error))
        self._trouble = str(error)

    def _look_through(self) -> Listing:
        self._source.fetch()
        listing = discover(self._directory)
        self._note_ignored(listing)
        return listing

    def _settle(self, entry: Entry) -> None:
        """Makes a model what its files say."""
        if entry.problem:
            self._fail(entry, entry.problem)
        else:
            self._load(entry)

    def _load(self, entry: Entry, *, device_error_is_fatal: bool = False) -> None:
        current = self.snapshot.get(entry.key)
        if current is None or current.loaded is None:
            self._put(Model(entry))
        try:
            loaded = self._loaded(entry)
        except CamgraphError as error:
            if isinstance(error, DeviceError) and device_error_is_fatal:
                raise
            self._fail(entry, str(error))
        except Exception as error:  # a file that breaks the loader must not take the other models down
            log_event(_log, logging.ERROR, "unexpected error while loading", trace=True, path=str(entry.path))
            self._fail(entry, f"It could not be loaded: {type(error).__name__}.")
        else:
            self._put(Model(entry, ModelState.READY, loaded=loaded))

    def _loaded(self, entry: Entry) -> Loaded:
        taken = self._memory.take(entry.size)
        try:
            explainer = self._loader(entry.path)
            if entry.has_changed():
                explainer.close()
                raise InvalidGraphError(f"{entry.path} changed while it was loaded. It is loaded when it is complete.")
        except BaseException:
            self._memory.give_back(taken)
            raise
        trim()  # loading takes more than what is loaded
        return Loaded(explainer, partial(self._memory.give_back, taken))

    def _fail(self, entry: Entry, reason: str) -> None:
        """Says what is wrong with a model; what was loaded of it before serves on."""
        current = self.snapshot.get(entry.key)
        if current is not None and current.loaded is not None:
            reason = f"Its files changed and cannot be loaded, so it serves as it was before. {reason}"
            self._put(replace(current, entry=entry, reason=reason))
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


def _first_state(entry: Entry) -> Model:
    return Model(entry, ModelState.FAILED, entry.problem) if entry.problem else Model(entry)


def _log_state(model: Model) -> None:
    level = logging.ERROR if model.reason and model.state is not ModelState.UNLOADED else logging.INFO
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
