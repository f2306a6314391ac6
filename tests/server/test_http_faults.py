"""HTTP requests that cannot be answered: each gets its status and a sentence, and costs little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from camgraph_core.errors import UsageError
from camgraph_server.config import ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.lifecycle import Server
from support.rest import EXPLAIN, b64, body, client_of, head, http_server, instance, raw_connection
from support.serving import PATIENCE, blank_png, png

INFER = "/v2/models/tiny/infer"


@pytest.fixture
async def server(repository: Path) -> AsyncIterator[Server]:
    async with http_server(repository, max_request_mib=1) as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(server) as opened:
        yield opened


def many_keys() -> bytes:
    return b'{"instances": [{' + b",".join(b'"k%d": 0' % number for number in range(60_000)) + b"}]}"


def image_input(**fields: Any) -> dict[str, Any]:
    coded = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64(png())]}
    return {"inputs": [coded | {"parameters": {"content_type": "base64"}} | fields]}


REFUSED = {
    "an unknown address": ("GET", "/v3", None, 404, "UNKNOWN_METHOD", "no address '/v3'"),
    "an unknown model": ("POST", "/v1/models/nothing:explain", body(), 404, "UNKNOWN_MODEL", "no model 'nothing'"),
    "an unknown model, asked for readiness": ("GET", "/v1/models/nothing", None, 404, "UNKNOWN_MODEL", "no model"),
    "an unknown version": ("GET", "/v2/models/tiny/versions/9/ready", None, 404, "UNKNOWN_MODEL", "version '9'"),
    "the method of others": ("DELETE", "/v1/models", None, 405, "UNKNOWN_METHOD", "takes GET, HEAD, not DELETE"),
    "no JSON": ("POST", EXPLAIN, b"image=1", 400, "INVALID_INPUT", "not JSON at character 0"),
    "an empty body": ("POST", EXPLAIN, b"", 400, "INVALID_INPUT", "not JSON"),
    "JSON inside itself": ("POST", EXPLAIN, b"[" * 200_000, 400, "INVALID_INPUT", "nested too deeply"),
    "keys without end": ("POST", EXPLAIN, many_keys(), 413, "TOO_LARGE", "50000 keys"),
    "numbers without end": ("POST", INFER, b"[" + b"," * 800_000, 413, "TOO_LARGE", "binary data"),
    "no instances": ("POST", EXPLAIN, {"inputs": []}, 400, "INVALID_INPUT", '"instances": [...]'),
    "too many instances": ("POST", EXPLAIN, {"instances": [{}] * 101}, 413, "TOO_LARGE", "101 instances"),
    "a misspelled field": ("POST", EXPLAIN, body(output=[]), 400, "INVALID_INPUT", "field 'output'"),
    "a misspelled target": ("POST", EXPLAIN, body(instance(targets=[1])), 400, "INVALID_INPUT", "field 'targets'"),
    "a target that is no object": (
        "POST",
        EXPLAIN,
        body(instance(target=[1])),
        400,
        "INVALID_INPUT",
        "not a JSON object",
    ),
    "a mask beside a target": ("POST", EXPLAIN, body(instance(mask=[[1]])), 400, "INVALID_INPUT", "field 'mask'"),
    "a parameter that is a list": (
        "POST",
        EXPLAIN,
        body(parameters={"layers": ["conv"]}),
        400,
        "INVALID_INPUT",
        "not a text, a number",
    ),
    "an instance that is a number": ("POST", EXPLAIN, {"instances": [1]}, 400, "INVALID_INPUT", "An instance is not"),
    "an image that is a text": ("POST", EXPLAIN, {"instances": [{"image": "x"}]}, 400, "INVALID_INPUT", '{"b64"'),
    "no base64": ("POST", EXPLAIN, {"instances": [{"b64": "ä"}]}, 400, "INVALID_INPUT", "not base64"),
    "no picture": ("POST", EXPLAIN, {"instances": [{"b64": "YWJj"}]}, 400, "INVALID_INPUT", "image"),
    "no image": ("POST", EXPLAIN, {"instances": [{}]}, 400, "INVALID_INPUT", "'image' is missing"),
    "a target that is a text": (
        "POST",
        EXPLAIN,
        body(instance(target_index="3")),
        400,
        "INVALID_INPUT",
        "whole numbers",
    ),
    "a target beyond all": ("POST", EXPLAIN, body(instance(target_index=2**70)), 400, "INVALID_INPUT", "whole numbers"),
    "a label that is half a letter": (
        "POST",
        EXPLAIN,
        json.dumps(body(instance(target_label="\ud800"))).encode(),
        400,
        "INVALID_INPUT",
        "UTF-8",
    ),
    "an unknown class": ("POST", EXPLAIN, body(instance(target_label="whale")), 400, "INVALID_TARGET", "whale"),
    "too many targets": ("POST", EXPLAIN, body(instance(target_rank=[1] * 101)), 400, "INVALID_INPUT", "101 targets"),
    "an unknown output": ("POST", EXPLAIN, body(outputs=["x"]), 400, "INVALID_OPTION", "output 'x'"),
    "an unknown layer": ("POST", EXPLAIN, body(parameters={"layer": "x"}), 404, "UNKNOWN_LAYER", "'x'"),
    "a misspelled parameter": ("POST", EXPLAIN, body(parameters={"max_sides": 9}), 400, "INVALID_INPUT", "'max_sides'"),
    "a parameter of a wrong type": ("POST", EXPLAIN, body(parameters={"top_k": "1"}), 400, "INVALID_INPUT", "top_k"),
    "the second of two instances": (
        "POST",
        EXPLAIN,
        body(instance(), instance(b"abc")),
        400,
        "INVALID_INPUT",
        "Instance 1: ",
    ),
    "v2 without an image": ("POST", INFER, {"inputs": []}, 400, "INVALID_INPUT", "'image' is missing"),
    "v2 with a text for a picture": ("POST", INFER, image_input(parameters={}), 400, "INVALID_INPUT", "image"),
    "v2 with another shape": (
        "POST",
        INFER,
        image_input(shape=[2]),
        400,
        "INVALID_INPUT",
        "1 values, but the shape [2] takes 2",
    ),
    "v2 with a shape beyond memory": (
        "POST",
        INFER,
        image_input(shape=[2**40] * 3),
        400,
        "INVALID_INPUT",
        "takes 1329",
    ),
    "a model of all models": ("POST", "/v2/repository/index", b"[]", 400, "INVALID_INPUT", "not a JSON object"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_answered_is_refused_in_a_sentence(case, client, caplog):
    method, path, content, status, reason, words = REFUSED[case]
    data = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    answer = await client.request(method, path, content=data)
    told = answer.json()
    assert (answer.status_code, told["reason"]) == (status, reason)
    assert words in told["error"]
    assert len(told["error"]) <= 1000
    assert (answer.headers.get("allow") is not None) == (status == 405)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert (await client.get("/v2/health/ready")).status_code == 200


HEADERS = {
    "compressed": ({"content-encoding": "gzip"}, 400, "compressed"),
    "a header of JSON that is no number": ({"inference-header-content-length": "-1"}, 400, "'-1'"),
    "a header of JSON beyond the body": ({"inference-header-content-length": "99"}, 400, "'99'"),
    "a header of JSON in other digits": (
        {"inference-header-content-length": b"\xb2"},
        400,
        "bytes",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
async def test_headers_that_do_not_fit_are_refused(case, client):
    headers, status, words = HEADERS[case]
    answer = await client.post(INFER, content=b"{}", headers=headers)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    async with raw_connection(server.http_address) as (reader, writer):
        writer.write(head(Content_Length=2 * 1024 * 1024))
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_of_unknown_length_ends_at_the_limit(client):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    answer = await client.post(EXPLAIN, content=pieces())
    assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")


async def test_a_client_that_waits_for_it_is_told_to_go_on(server):
    text = json.dumps(body()).encode()
    async with raw_connection(server.http_address) as (reader, writer):
        writer.write(head(Content_Length=len(text), Expect="100-continue"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(text)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


NONSENSE = {
    "no HTTP": b"\x16\x03\x01 hello\r\n\r\n",
    "headers without end": b"GET / HTTP/1.1\r\nhost: here\r\n" + b"a: " + b"b" * 40_000,
    "headers without measure": b"GET / HTTP/1.1\r\nhost: here\r\n" + b"a: b\r\n" * 10_000 + b"\r\n",
    "an address without measure": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nhost: here\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: -1\r\n\r\n",
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_what_is_no_http_is_refused_and_the_connection_closed(case, server, client):
    async with raw_connection(server.http_address) as (reader, writer):
        writer.write(NONSENSE[case])
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(("part", "status"), [(1, b"400 Bad Request\r\n"), (1024, b"200 OK\r\n")])
async def test_a_body_comes_in_parts_but_not_in_as_many_as_bytes(part, status, server):
    """Each part takes the event loop as long as a kilobyte does, so a few megabytes would hold it up for seconds."""
    text = json.dumps(body(instance(png(60, 60)))).encode()
    parts = [text[at : at + part] for at in range(0, len(text), part)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    async with raw_connection(server.http_address) as (reader, writer):
        writer.write(head(Transfer_Encoding="chunked") + chunks + b"0\r\n\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 " + status


async def test_answers_that_are_too_large_for_json_go_as_bytes(repository, client):
    large = instance(blank_png(1100, 1000))
    answer = await client.post(EXPLAIN, json=body(large, outputs=["heatmap"]))
    assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")
    asked = image_input(data=[large["image"]["b64"]]) | {"outputs": [{"name": "heatmap"}]}
    asked["outputs"][0]["parameters"] = {"binary_data": True}
    answer = await client.post(INFER, json=asked)
    size = int(answer.headers["inference-header-content-length"])
    [output] = json.loads(answer.content[:size])["outputs"]
    assert output["shape"] == [1, 1000, 1100]
    assert len(answer.content) - size == output["parameters"]["binary_data_size"] == 4_400_000


async def test_an_answer_beyond_the_limit_is_refused(repository):
    async with http_server(repository, max_response_mib=1) as server, client_of(server) as client:
        answer = await client.post(EXPLAIN, json=body(*[instance(blank_png(500, 500))] * 2, outputs=["heatmap"]))
        assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")


@pytest.mark.parametrize("module", ["starlette", "uvicorn"])
def test_a_missing_extra_is_named(module, repository):
    program = f"import sys; sys.modules[{module!r}] = None; from camgraph_cli.main import main; main()"
    command = [sys.executable, "-c", program, "serve", "--model-repository", str(repository), "--http", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Error: HTTP needs Starlette and uvicorn; install camgraph[http]."


async def test_an_address_that_is_taken_is_named(repository, server):
    config = ServerConfig(
        model_repository=repository, listen="127.0.0.1:0", http=server.http_address, trial_load=False, grace=PATIENCE
    )
    second = Server(config)
    with pytest.raises(BindError, match=f"{server.http_address}: .* with --http HOST:PORT"):
        await second.start()
    await second.stop()


@pytest.mark.parametrize("address", ["unix:/tmp/http", "8080", "127.0.0.1:99999"])
def test_an_address_that_cannot_be_one_is_refused(address, repository):
    with pytest.raises(UsageError, match=r"HOST:PORT|last one"):
        ServerConfig(model_repository=repository, http=address)
