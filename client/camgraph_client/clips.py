"""What a client sends for a clip, how it reads the answer, and the models of a server that explain clips."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from camgraph.v1 import explanation_pb2 as pb
from camgraph_client.remote import AsyncRemote, Remote
from camgraph_client.sending import encoded, load_painter, photo_of
from camgraph_core.clips import Taken
from camgraph_core.errors import InvalidInputError
from camgraph_core.explains_clips import ExplainsClips, Footage
from camgraph_core.request import Addressed, Request
from camgraph_wire.chunks import Assembled
from camgraph_wire.models import ModelDetails
from camgraph_wire.requests import request_message

if TYPE_CHECKING:
    from camgraph_core.clips import ClipResult


@dataclass(frozen=True)
class SentClip:
    """A clip on its way.

    Attributes:
        addressed: What is sent: the frames that the network takes, or a tensor.
        taken: Which frames of the caller's clip they are.
        remarks: What is to be said of that.

    """

    addressed: Addressed
    taken: Taken
    remarks: Sequence[str] = field(default=())

    def message(self) -> pb.ExplainRequest:
        """The message of it.

        Raises:
            CamgraphError: It cannot be sent; see `request_message`.

        """
        return request_message(self.addressed)

    def result_of(
        self, message: pb.ExplainResponse, apart: Mapping[tuple[int, int], bytes | bytearray] | None = None
    ) -> ClipResult:
        """The result of an answer; frames are read from what was sent, when they are needed."""
        # While the answer was awaited, nobody needed them.
        from camgraph_wire.results import Photo, clip_result_from  # noqa: PLC0415 - as said above
        from camgraph_wire.shown import shown_from  # noqa: PLC0415 - as said above

        frames, request, count = self.addressed.frames, self.addressed.request, len(self.taken.numbers)
        shown = list(map(shown_from, message.shown_frames)) if len(message.shown_frames) == count else [None] * count
        photos = (
            [Photo()] * count
            if frames is None
            else [photo_of(Addressed(request=request, image=one), how) for one, how in zip(frames, shown, strict=True)]
        )
        result = clip_result_from(
            message, request, photos=photos, load_painter=load_painter, taken=self.taken, apart=apart
        )
        return replace(result, warnings=[*self.remarks, *result.warnings])

    def result_of_pieces(self, pieces: Assembled) -> ClipResult:
        """The result of an answer that came in pieces.

        Raises:
            RemoteError: Some are missing.

        """
        return self.result_of(pieces.finished(), pieces.apart)


def sent_clip(footage: Footage, request: Request, model: tuple[str, str], details: ModelDetails) -> SentClip:
    """What is sent for a clip: the frames that the model takes, without loss.

    Args:
        footage: The clip.
        request: What is asked.
        model: Name and version of the model.
        details: What the server says of it: how many frames it takes, and which.

    Raises:
        InvalidInputError: The clip cannot be read, or the model explains single images.
        UsageError: PyAV is not installed.

    """
    # A client of images alone should not wait for them.
    from camgraph_runtime.clips.source import choose_frames  # noqa: PLC0415 - as said above
    from camgraph_runtime.limits import Limits  # noqa: PLC0415 - as said above
    from camgraph_runtime.preprocess.layout import frame_axis  # noqa: PLC0415 - as said above

    spec, (name, version) = details.manifest.input, model
    if not spec.HasField("clip"):
        raise InvalidInputError(f"The model {details.info.name!r} explains single images; use Client.model for it.")
    if footage.clip is None:
        assert footage.tensor is not None
        shape, axis = footage.tensor.shape, frame_axis(spec.layout) or 1
        taken = Taken(range(shape[axis] if len(shape) > axis else 0), is_volume=spec.clip.is_volume)
        addressed = Addressed(request=request, tensor=footage.tensor, model=name, version=version)
        return SentClip(addressed, taken)
    chosen = choose_frames(footage, spec, request, max_pixels=Limits().max_pixels)
    frames = tuple(map(encoded, chosen.images))
    addressed = Addressed(request=chosen.request, frames=frames, model=name, version=version)
    return SentClip(addressed, chosen.taken, chosen.remarks)


class RemoteClipModel(Remote, ExplainsClips["ClipResult"]):
    """A model of a server that takes clips or volumes; see `Client.clip_model`. To close it closes the client."""

    def _explain(self, footage: Footage, request: Request) -> ClipResult:
        sent = sent_clip(footage, request, (self._name, self._version), self.details())
        if self._chunked:
            return self._client.gather(pb.ExplainChunkedRequest(request=sent.message()), sent.result_of_pieces)
        return self._client.send("Explain", sent.message(), sent.result_of)


class AsyncRemoteClipModel(AsyncRemote, ExplainsClips[Awaitable["ClipResult"]]):
    """A model of a server that takes clips or volumes; see `AsyncClient.clip_model`. To close it closes the client."""

    async def _explain(self, footage: Footage, request: Request) -> ClipResult:
        details = await self.details()
        # Threads, as reading a video or encoding pixels would hold up the event loop.
        sent = await asyncio.to_thread(sent_clip, footage, request, (self._name, self._version), details)
        message = await asyncio.to_thread(sent.message)
        if self._chunked:
            return await self._client.gather(pb.ExplainChunkedRequest(request=message), sent.result_of_pieces)
        return await self._client.send("Explain", message, sent.result_of)
