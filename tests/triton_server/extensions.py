"""What Triton adds to the protocol, or says more strictly: asked of both servers as `conformance.py` is."""

from __future__ import annotations

from typing import Any

from conformance import BOTH, IMAGE, TARGETS, TENSOR, Case, changed, infer, texts, with_parameters, with_raw
from tritonclient.grpc import service_pb2 as pb

IGNORED = "This server ignores parameters that it does not know, whatever their type."
CLASSES = "Labels and probabilities are in `predictions` of the model that takes an image."
NO_REGIONS = "This server has no regions of shared memory."
NO_SETTINGS = "This server has its own settings for that."


def with_output(request: pb.ModelInferRequest, **parameters: Any) -> pb.ModelInferRequest:
    """The request with parameters of its first output."""
    for name, value in parameters.items():
        setattr(request.outputs[0].parameters[name], "int64_param" if isinstance(value, int) else "string_param", value)
    return request


def with_region(request: pb.ModelInferRequest) -> pb.ModelInferRequest:
    """The request with its first input in shared memory."""
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"
    request.inputs[0].parameters["shared_memory_byte_size"].int64_param = 4
    return request


FINE = [
    Case(what, "ModelInfer", request)
    for what, request in (
        ("a sequence with a number", with_parameters(infer(BOTH), sequence_id=7, sequence_start=True)),
        ("a sequence with a name", with_parameters(infer(BOTH), sequence_id="seven", sequence_end=True)),
        ("a priority", with_parameters(infer(BOTH), priority=1)),
        ("a time limit", with_parameters(infer(BOTH), timeout=60_000_000)),
        ("an empty last answer", with_parameters(infer(BOTH), triton_enable_empty_final_response=True)),
        ("a long identifier", infer(BOTH, id="x" * 2000)),
        ("no images, typed", infer({"image": TENSOR[:0], "target": TARGETS[:0]}, typed=True)),
        ("a list of no targets", infer({**IMAGE, "target_index": TARGETS[0, :0]}, "tiny", outputs=["heatmap"])),
    )
]

FAULTY = [
    Case(what, "ModelInfer", request, "INVALID_ARGUMENT")
    for what, request in (
        ("BF16, which this graph does not take", changed(infer(BOTH), 0, datatype="BF16")),
        ("FP16, which this graph does not take", changed(infer(BOTH), 0, datatype="FP16")),
        ("texts for numbers", infer({**BOTH, "image": texts(b"text")})),
        ("numbers for a text", infer({"image": TENSOR}, "tiny")),
        ("no axes", changed(infer(BOTH), 0, shape=[])),
        ("no targets", infer({"image": TENSOR, "target": TARGETS[:, :0]})),
        ("a tensor of no texts", with_raw(changed(infer(IMAGE, "tiny"), 0, shape=[0]), b"")),
        ("an empty text", infer({"image": texts(b"")}, "tiny")),
        ("bytes after the last text", with_raw(infer(IMAGE, "tiny"), b"\x02\x00\x00\x00ab\x00")),
        ("an output without a name", infer(BOTH, outputs=[""])),
        ("an input without a name", infer({**BOTH, "": TARGETS})),
    )
]

OF_PARAMETERS = [
    *[
        Case(f"the parameter {name} of a wrong type", "ModelInfer", request, "OK", "INVALID_ARGUMENT", IGNORED)
        for name, request in (
            ("sequence_id", with_parameters(infer(BOTH), sequence_id=True)),
            ("sequence_start", with_parameters(infer(BOTH), sequence_start="yes")),
            ("priority", with_parameters(infer(BOTH), priority="high")),
            ("timeout", with_parameters(infer(BOTH), timeout="soon")),
        )
    ],
    Case(
        "an unknown parameter with the prefix of Triton's",
        "ModelInfer",
        with_parameters(infer(BOTH), triton_nothing=True),
        "OK",
        "INVALID_ARGUMENT",
        IGNORED,
    ),
    Case(
        "classes of an output",
        "ModelInfer",
        with_output(infer(BOTH, outputs=["scores"]), classification=2),
        "INVALID_ARGUMENT",
        "OK",
        CLASSES,
    ),
    Case(
        "no classes of an output",
        "ModelInfer",
        with_output(infer(BOTH, outputs=["scores"]), classification=0),
        "INVALID_ARGUMENT",
    ),
]

SHARED_MEMORY = [
    Case(
        "an input in shared memory",
        "ModelInfer",
        with_region(with_raw(infer(BOTH))),
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        NO_REGIONS,
    ),
    Case(
        "an output in shared memory",
        "ModelInfer",
        with_output(infer(BOTH, outputs=["scores"]), shared_memory_region="region", shared_memory_byte_size=40),
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        NO_REGIONS,
    ),
    *[
        Case(what, method, request, "UNIMPLEMENTED", triton, NO_REGIONS)
        for what, method, request, triton in (
            ("its regions", "SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest(), "OK"),
            ("its regions on a GPU", "CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest(), "OK"),
            (
                "a region that is not there",
                "SystemSharedMemoryRegister",
                pb.SystemSharedMemoryRegisterRequest(name="region", key="/nothing", byte_size=4),
                "INTERNAL",
            ),
            (
                "a region that is none",
                "CudaSharedMemoryRegister",
                pb.CudaSharedMemoryRegisterRequest(name="region", raw_handle=b"none", byte_size=4),
                "INVALID_ARGUMENT",
            ),
            ("all regions", "SystemSharedMemoryUnregister", pb.SystemSharedMemoryUnregisterRequest(), "OK"),
            ("all regions on a GPU", "CudaSharedMemoryUnregister", pb.CudaSharedMemoryUnregisterRequest(), "OK"),
        )
    ],
]

SETTINGS = [
    Case("how it traces", "TraceSetting", pb.TraceSettingRequest(), "UNIMPLEMENTED", "OK", NO_SETTINGS),
    Case("how it logs", "LogSettings", pb.LogSettingsRequest(), "UNIMPLEMENTED", "OK", NO_SETTINGS),
]

_SECOND = infer(IMAGE, "tiny", outputs=["heatmap"], id="second")
STREAMS = [
    Case(what, "ModelStreamInfer", requests)
    for what, requests in (
        ("no request", []),
        ("requests for two models", [infer(BOTH, id="first"), _SECOND]),
        ("an error for an unknown model, then a request", [infer(BOTH, "nothing", id="first"), _SECOND]),
        ("an error for a missing input, then a request", [infer({"image": TENSOR}, id="first"), _SECOND]),
        ("an empty last answer", [with_parameters(infer(BOTH), triton_enable_empty_final_response=True)]),
    )
]

EXTENSIONS = [*FINE, *FAULTY, *OF_PARAMETERS, *SHARED_MEMORY, *SETTINGS, *STREAMS]
