"""JSON within bounds: what would cost too much is refused before it is read, and arrays are written exactly."""

from __future__ import annotations

import json

import numpy as np
import pytest

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_wire.json_text import MOST_NUMBERS, bytes_from, json_from, number_texts, utf8

REFUSED = {
    "nothing": (b"", InvalidInputError, "not JSON"),
    "half a list": (b"[1", InvalidInputError, "at character 2"),
    "lists inside one another": (b"[" * 100_000, InvalidInputError, "nested too deeply"),
    "a number that JSON does not have": (b"[NaN]", InvalidInputError, "NaN"),
    "an infinite number": (b"[-Infinity]", InvalidInputError, "-Infinity"),
    "a number of 5000 digits": (b"9" * 5000, InvalidInputError, "not JSON"),
    "bytes that are not UTF-8": (b'"\xff"', InvalidInputError, "not JSON"),
    "more numbers than are read": (b"[" + b"0," * 800_000 + b"0]", TooLargeError, "values"),
    "more lists than are read": (b"[" + b"[]," * 400_000 + b"0]", TooLargeError, "values"),
    "more keys than are read": (b"{" + b'"a":0,' * 50_001 + b'"b":0}', TooLargeError, "keys"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(case):
    data, error, words = REFUSED[case]
    with pytest.raises(error, match=words) as caught:
        json_from(data)
    assert len(str(caught.value)) < 300


def test_a_long_text_is_no_cost():
    text = "A" * 5_000_000
    assert json_from(json.dumps({"b64": text}).encode()) == {"b64": text}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", "bool"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 0), (2, 3), (2, 1, 9000)])
def test_arrays_come_back_as_they_were(dtype, shape):
    array = (np.random.default_rng(1).random(shape) * 100).astype(dtype)
    flat, nested = (json.loads(b"".join(number_texts(array, nested=way))) for way in (False, True))
    np.testing.assert_array_equal(np.array(flat, dtype), array.ravel())
    np.testing.assert_array_equal(np.array(nested, dtype).reshape(shape), array)


def test_what_is_not_finite_is_null():
    array = np.array([1.5, np.nan, np.inf, -np.inf], np.float32)
    assert b"".join(number_texts(array)) == b"[1.5,null,null,null]"


def test_an_array_that_is_too_long_is_refused_before_a_piece_is_written():
    with pytest.raises(TooLargeError, match="binary data"):
        number_texts(np.zeros(MOST_NUMBERS + 1, np.float32))


@pytest.mark.parametrize("text", ["a", "====", "YQ=", "Y Q==", "ä", "YQ==\n"])
def test_what_is_not_base64_is_refused(text):
    with pytest.raises(InvalidInputError, match="The image is not base64"):
        bytes_from(text, "The image")


def test_half_of_a_letter_is_refused():
    with pytest.raises(InvalidInputError, match="The label"):
        utf8(json_from(b'"\\ud800"'), "The label")
