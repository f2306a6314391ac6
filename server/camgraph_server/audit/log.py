"""The observer that writes a line of the audit log for each request to explain an image, whatever its end."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from camgraph_server.audit.entry import entry_of
from camgraph_server.audit.file import AuditFile
from camgraph_server.call import Call
from camgraph_server.observe.observers import Explained, Observer


class AuditLog(Observer):
    """Writes the audit log.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: AuditFile | None = None
        self._entries: WeakKeyDictionary[Call, dict[str, Any]] = WeakKeyDictionary()

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._file.lost if self._file is not None else 0

    async def start(self) -> None:
        """Opens the file.

        Raises:
            AuditError: It cannot be opened.
        """
        self._file = AuditFile(self._path)

    async def stop(self) -> None:
        """Writes the last lines."""
        if self._file is not None:
            await asyncio.to_thread(self._file.close)

    def explained(self, call: Call, explained: Explained) -> None:
        """Notes request and result, on the worker's thread: large outputs take time."""
        self._entries[call] = entry_of(explained.explainer, explained.addressed, explained.result)

    def ended(self, call: Call) -> None:
        """Writes the line."""
        if not call.explains or self._file is None:
            return
        entry = {
            "id": uuid.uuid4().hex,
            "time": datetime.fromtimestamp(call.came, UTC).isoformat(timespec="milliseconds"),
            "rpc": call.rpc,
            "status": call.status,
            "reason": call.reason,
            "client": call.client.name,
            "peer": call.peer,
            "request_id": call.request_id,
            "trace_id": call.trace_id,
            "item": call.item,
            "ms": round(call.elapsed_ms, 3),
            "model": call.model,
            "version": call.version,
        }
        self._file.add(json.dumps(entry | self._entries.pop(call, {}), allow_nan=False).encode())
