"""The message classes of the Open Inference Protocol, in a descriptor pool of their own.

Two files that define one name cannot share a pool. A process that also imports another library's stubs of this protocol
would not start if these were in the default one.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

SERVICE = "inference.GRPCInferenceService"
"""Full name of the service."""


def _pool() -> Any:
    data = resources.files(__package__).joinpath("open_inference.binpb").read_bytes()
    pool = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = _pool()
"""Holds the descriptors of the service and its messages."""


def message_class(name: str) -> Any:
    """The class of a message, by its name without the package. Its fields are not known to type checkers."""
    return GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))
