"""The exception tree of camgraph, in one place.

Every message is one or two plain sentences that say what is wrong, where, and what to do about it::

    CamgraphError                      exit code 1
    ├── UsageError                     exit code 2: the caller asked for something that does not exist
    │   ├── UnknownLayerError          a target layer that the graph does not have
    │   ├── AbsentOutputError          an output that was not asked for (an AttributeError, too)
    │   └── NotFoundError              a model or version that the server does not have
    ├── InvalidInputError              the data that came in cannot be used (image, tensor, target)
    │   ├── TargetError                exit code 2: a target that names no class, or more than one
    │   │   └── NotInImageError        what this image does not have (a UsageError, too)
    │   └── TooLargeError              a request or an answer beyond a limit
    ├── InvalidGraphError              the .onnx file is not an explainable graph, or is damaged
    ├── UnsupportedError               the graph lacks what was asked for (a method, a layer's full gradients)
    │   └── NotReadyError              a model that the server could not load
    ├── DeviceError                    the asked device or execution provider is not available
    ├── InferenceError                 onnxruntime failed on input that passed every check
    ├── RemoteError                    a call that a server did not answer with a result
    │   ├── UnavailableError           no server answers, or it cannot take the call now
    │   ├── OverLimitError             the caller is beyond a limit of its own
    │   ├── UnauthenticatedError       the server does not know who calls
    │   ├── ForbiddenError             the caller may not do this
    │   ├── UnknownMethodError         the server has no such call
    │   └── DeadlineError              no answer in time
    │       └── ExpiredError           the deadline passed while the call waited on the server
    └── ExportError                    the trained model cannot be made explainable (camgraph_exporter.errors)

Client and server raise the same classes; `camgraph_wire.errors` says what each is called between them.
"""


class CamgraphError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_code = 1


class UsageError(CamgraphError):
    """The caller named something that does not exist: an option, a model, a method, a profile."""

    exit_code = 2


class UnknownLayerError(UsageError):
    """A target layer that the graph does not have."""


class AbsentOutputError(UsageError, AttributeError):
    """An output that was not asked for, or that this image, profile or method does not have.

    It is an `AttributeError`, so that ``hasattr`` and ``getattr`` with a default work.
    """


class NotFoundError(UsageError):
    """A model or version that the server does not have."""


class InvalidInputError(CamgraphError):
    """An image, a tensor or a target that cannot be used."""


class TargetError(InvalidInputError):
    """A target whose index, label or rank names no class of the model, or more than one."""

    exit_code = 2


class NotInImageError(TargetError, UsageError):
    """An object, a region, a rank or a frame that this image does not have, though another one may."""


class TooLargeError(InvalidInputError):
    """A request or an answer that is larger than the server allows."""


class InvalidGraphError(CamgraphError):
    """A file that is not an explainable graph."""


class UnsupportedError(CamgraphError):
    """A graph without the tensors that the asked method needs."""


class NotReadyError(UnsupportedError):
    """A model that the server could not load."""


class DeviceError(CamgraphError):
    """A device or execution provider that is not available; nothing falls back silently."""


class InferenceError(CamgraphError):
    """onnxruntime failed while running a graph."""


class RemoteError(CamgraphError):
    """A call that a server did not answer with a result."""


class UnavailableError(RemoteError):
    """No server, or one that cannot take the call now; the same call may succeed later.

    Attributes:
        retry_after: Seconds after which it is worth a try, if the server says so.

    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OverLimitError(RemoteError):
    """A caller that is beyond a limit of its own, while the server has room for others.

    Attributes:
        retry_after: Seconds after which it is worth a try, if the server says so.

    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnauthenticatedError(RemoteError):
    """A call that does not show who sends it, to a server that wants to know."""


class ForbiddenError(RemoteError):
    """A call of something that this caller may not do."""


class UnknownMethodError(RemoteError):
    """A call that the server does not have."""


class DeadlineError(RemoteError):
    """No answer within the time that the caller gave."""


class ExpiredError(DeadlineError):
    """A call whose deadline passed while it waited on the server."""
