"""Messages that gRPC's clients have compressed: recognised, and unpacked within a limit.

gRPC would unpack them itself before anything is known of a call: for anybody, on the threads that answer health checks,
and up to the largest request of the server. So it leaves them as they are (`channel_options`).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from camgraph_core.errors import InvalidInputError, TooLargeError

_GZIP = b"\x1f\x8b"  # as a message it would begin with a field of a wire type that there is not
_ZLIB = 0x78  # as a message, field 15, which no request has
_DAMAGED = "The compressed request is damaged, and cannot be unpacked; send it again."
_EITHER = zlib.MAX_WBITS | 32


def is_packed(data: bytes) -> bool:
    """Whether bytes are a compressed message, by gzip or deflate; gRPC does not tell."""
    return data[:2] == _GZIP or (len(data) > 1 and data[0] == _ZLIB and (data[0] << 8 | data[1]) % 31 == 0)


@dataclass(frozen=True)
class Unpacking:
    """What becomes of compressed messages.

    Attributes:
        is_offered: Whether they are taken.
    """

    is_offered: bool = True

    def unpacked(self, data: bytes, most: int) -> bytes:
        """What a compressed message was before; the work ends at the limit.

        Args:
            data: The bytes, of which `is_packed` holds.
            most: The largest message in bytes.

        Raises:
            InvalidInputError: None are taken, or it is damaged.
            TooLargeError: There is more in it.
        """
        if not self.is_offered:
            raise InvalidInputError("The request is compressed, which this server does not take; send it as it is.")
        unpacking = zlib.decompressobj(_EITHER)
        try:
            message = unpacking.decompress(data, most + 1)
        except zlib.error as error:
            raise InvalidInputError(_DAMAGED) from error
        if len(message) > most:
            raise TooLargeError(f"The request unpacks to more than the limit of {most} bytes; send a smaller one.")
        if not unpacking.eof or unpacking.unused_data:
            raise InvalidInputError(_DAMAGED)
        return message
