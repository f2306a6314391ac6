"""The Open Inference Protocol over HTTP: each request becomes the message that gRPC has for the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_wire.open_inference.messages import message_class
from camgraph_wire.open_inference.rest import RestRequest, plain, response_parts
from camgraph_wire.open_inference.tensors import DATATYPES, arrays_from, response_message

MODEL = ("tiny", "1")


def read(header: object, binary: bytes = b"") -> RestRequest:
    return RestRequest(MODEL, header, memoryview(binary))


def asked(**fields: object) -> dict[str, object]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2.5]} | fields]}


@pytest.mark.parametrize("datatype", [item for item in DATATYPES if item.name != "BYTES"], ids=lambda item: item.name)
def test_each_datatype_comes_through_as_json_and_as_bytes(datatype):
    array = (np.arange(6) % 2 if datatype.name == "BOOL" else np.arange(6)).astype(datatype.dtype).reshape(2, 3)
    tensor = {"datatype": datatype.name, "shape": [2, 3]}
    raw = array.tobytes()
    header = {
        "inputs": [
            {"name": "nested", **tensor, "data": array.tolist()},
            {"name": "flat", **tensor, "data": array.ravel().tolist()},
            {"name": "binary", **tensor, "parameters": {"binary_data_size": len(raw)}},
        ]
    }
    arrays = arrays_from(read(header, raw).message, most_texts=9)
    for name in ("nested", "flat", "binary"):
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_texts_are_utf8_or_base64_where_that_is_said():
    texts = {"name": "texts", "datatype": "BYTES", "shape": [2], "data": ["ä", ""]}
    picture = {"name": "picture", "datatype": "BYTES", "shape": [1], "data": ["/9g="]}
    coded = {**picture, "parameters": {"content_type": "base64"}}
    arrays = arrays_from(read({"inputs": [texts, coded]}).message, most_texts=9)
    assert list(arrays["texts"]) == ["ä".encode(), b""]
    assert list(arrays["picture"]) == [b"\xff\xd8"]


def test_parameters_and_outputs_come_through():
    header = asked() | {
        "id": "mine",
        "parameters": {"top_k": 2, "method": "x", "share": 0.5, "binary_data_output": True, "unknown": [1]},
        "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
    }
    request = read(header)
    assert (request.message.id, request.message.model_name, request.message.model_version) == ("mine", *MODEL)
    assert plain(request.message)["outputs"][0]["name"] == "a"
    assert request.message.parameters["top_k"].int64_param == 2
    assert request.message.parameters["binary_data_output"].bool_param
    assert "unknown" not in request.message.parameters
    assert [request.is_binary(name) for name in "ab"] == [True, False]


REFUSED = {
    "a list": ([], b"", "not a JSON object"),
    "an input without a name": ({"inputs": [{}]}, b"", "name is missing"),
    "an input that is a number": ({"inputs": [3]}, b"", "An input is not"),
    "no shape": (asked(shape=None), b"", "shape"),
    "a negative length": (asked(shape=[-1]), b"", "list of lengths"),
    "a length that is true": (asked(shape=[True]), b"", "list of lengths"),
    "a length beyond all": (asked(shape=[2**70]), b"", "list of lengths"),
    "an unknown datatype": (asked(datatype="FP99"), b"", "known are"),
    "no data": (asked(data=None), b"", "neither data"),
    "too few values": (asked(data=[1]), b"", "1 values, but the shape .2. takes 2"),
    "a shape beyond all memory": (asked(shape=[2**62, 2**62]), b"", "takes 2126"),
    "uneven data": (asked(data=[1, [2]]), b"", "nested unevenly"),
    "texts for numbers": (asked(data=["1", "2"]), b"", "not numbers"),
    "truth values for numbers": (asked(data=[True, False]), b"", "not numbers"),
    "broken numbers for whole ones": (asked(datatype="INT8", data=[1.5, 1]), b"", "not whole numbers"),
    "numbers that do not fit": (asked(datatype="INT8", data=[128, 1]), b"", "INT8 does not hold"),
    "a number beyond every float": (asked(data=[10**400, 1]), b"", "FP32 does not hold"),
    "numbers for texts": (asked(datatype="BYTES"), b"", "not texts"),
    "bytes that are not there": (asked(parameters={"binary_data_size": 8}, data=None), b"1234", "4 bytes are left"),
    "bytes that nobody has": (asked(), b"1234", "4 bytes more"),
    "a negative size": (asked(parameters={"binary_data_size": -1}), b"", "binary_data_size -1"),
    "bytes and data": (asked(parameters={"binary_data_size": 8}), b"12345678", "send one of them"),
    "a name without end": (asked(name="a" * 5000), b"", "5000 bytes"),
    "half of a letter": (asked(name="\ud800"), b"", "send UTF-8"),
    "a parameter without end": (asked() | {"parameters": {"a": "b" * 5000}}, b"", "5000 bytes"),
    "a parameter that is too large": (asked() | {"parameters": {"a": 2**70}}, b"", "too large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(case):
    header, binary, words = REFUSED[case]
    with pytest.raises(InvalidInputError, match=words) as caught:
        read(header, binary)
    assert len(str(caught.value)) < 1000


MANY = {
    "inputs": {"inputs": [{}] * 101},
    "outputs": {"outputs": [{"name": "a"}] * 101},
    "axes": asked(shape=[1] * 101),
    "parameters": {"parameters": {str(number): 1 for number in range(101)}},
}


@pytest.mark.parametrize("case", MANY)
def test_too_many_of_anything_are_refused(case):
    with pytest.raises(TooLargeError, match="more than 100"):
        read(MANY[case])


def test_an_answer_has_its_arrays_as_json_or_behind_it():
    pictures = np.empty(1, object)
    pictures[0] = b"\xff\xd8"
    texts = np.empty(2, object)
    texts[:] = [b"{}", "ä".encode()]
    numbers = np.array([[0.1, 2]], np.float32)
    outputs = {"json": numbers, "binary": numbers, "pictures": pictures, "texts": texts}
    message = response_message(MODEL, "mine", outputs, {"warnings": "dark"})
    request = read({"outputs": [{"name": "binary", "parameters": {"binary_data": True}}]})
    text, binary = response_parts(request, message)
    answer = json.loads(b"".join(text))
    assert (answer["model_name"], answer["id"], answer["parameters"]) == ("tiny", "mine", {"warnings": "dark"})
    by_name = {output["name"]: output for output in answer["outputs"]}
    assert np.array_equal(np.array(by_name["json"]["data"], np.float32), numbers.ravel())
    assert (by_name["json"]["shape"], by_name["json"]["datatype"]) == ([1, 2], "FP32")
    assert by_name["binary"]["parameters"] == {"binary_data_size": 8}
    assert b"".join(binary) == numbers.tobytes()
    assert by_name["pictures"] == {
        "name": "pictures",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"content_type": "base64"},
        "data": ["/9g="],
    }
    assert by_name["texts"]["data"] == ["{}", "ä"]


def test_messages_become_plain_values():
    Config = message_class("ModelConfigResponse")  # noqa: N806 - a class
    message = Config()
    message.config.name = "tiny"
    message.config.input.add(name="image", data_type="TYPE_FP32", dims=[-1, 3])
    config = plain(message)["config"]
    assert (config["name"], config["max_batch_size"]) == ("tiny", 0)
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert config["input"][0]["dims"] == [-1, 3]
