"""Every call, and every request of a stream, as one line of the log."""

from __future__ import annotations

import logging

from camgraph_server.call import Call
from camgraph_server.observe.log import log_event
from camgraph_server.observe.observers import Observer

_log = logging.getLogger("camgraph.request")


class CallLog(Observer):
    """Logs each call at its end."""

    def ended(self, call: Call) -> None:
        """One line, with what is known of the call."""
        log_event(
            _log,
            logging.DEBUG if call.is_quiet and call.status == "OK" else logging.INFO,
            "call" if call.item is None else "item",
            rpc=call.rpc,
            protocol=call.protocol if call.protocol != "grpc" else None,
            status=call.status,
            ms=call.elapsed_ms,
            stage=call.stage if call.status != "OK" else None,
            queue_ms=call.queue_ms,
            inference_ms=call.inference_ms,
            model=call.model,
            version=call.version,
            peer=call.peer,
            client=call.client.name if call.client.is_known else None,
            request_id=call.request_id,
            trace_id=call.trace_id,
            item=call.item,
            items=call.items,
            received=call.received,
            sent=call.sent,
            reason=call.reason,
        )
