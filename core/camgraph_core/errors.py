"""The exception tree of camgraph, in one place.

Every message is one or two plain sentences that say what is wrong, where, and what to do about it::

    CamgraphError                      exit code 1
    ├── UsageError                     exit code 2: the caller asked for something that does not exist
    │   └── UnknownLayerError          a target layer that the graph does not have
    ├── InvalidInputError              the data that came in cannot be used (image, tensor, target)
    │   └── TargetError                exit code 2: a target that names no class, or more than one
    ├── InvalidGraphError              the .onnx file is not an explainable graph, or is damaged
    ├── UnsupportedError               the graph lacks what was asked for (a method, a layer's full gradients)
    ├── DeviceError                    the asked device or execution provider is not to be had
    ├── InferenceError                 onnxruntime failed on input that passed every check
    └── ExportError                    the trained model cannot be made explainable (camgraph_exporter.errors)
"""


class CamgraphError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_code = 1


class UsageError(CamgraphError):
    """The caller named something that does not exist: an option, a model, a method, a profile."""

    exit_code = 2


class UnknownLayerError(UsageError):
    """A target layer that the graph does not have."""


class InvalidInputError(CamgraphError):
    """An image, a tensor or a target that cannot be used."""


class TargetError(InvalidInputError):
    """A target whose index, label or rank names no class of the model, or more than one."""

    exit_code = 2


class InvalidGraphError(CamgraphError):
    """A file that is not an explainable graph."""


class UnsupportedError(CamgraphError):
    """A graph without the tensors that the asked method needs."""


class DeviceError(CamgraphError):
    """A device or execution provider that is not to be had; nothing falls back silently."""


class InferenceError(CamgraphError):
    """onnxruntime failed while running a graph."""
