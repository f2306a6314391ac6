"""Inputs and outputs as Triton's client takes them, and a tensor for the tiny graph."""

from __future__ import annotations

import numpy as np
import tritonclient.grpc as triton

from support.serving import png

TENSOR = np.random.default_rng(3).random((2, 3, 16, 16), np.float32)
TARGETS = np.array([[0, -1], [4, -2]], np.int64)


def given(name: str, array: np.ndarray) -> triton.InferInput:
    datatype = {"float32": "FP32", "int64": "INT64", "object": "BYTES"}[array.dtype.name]
    put = triton.InferInput(name, list(array.shape), datatype)
    put.set_data_from_numpy(array)
    return put


def image_input(data: bytes | None = None) -> triton.InferInput:
    return given("image", np.array([data or png()], object))


def tensor_inputs() -> list[triton.InferInput]:
    return [given("image", TENSOR), given("target", TARGETS)]


def wanted(*names: str) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name) for name in names]
