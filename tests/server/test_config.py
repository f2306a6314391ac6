"""`camgraph serve`'s settings: from a file, the environment and options, checked all at once, and shown."""

from __future__ import annotations

import asyncio
import json
import tomllib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner

from camgraph_cli.main import cli
from camgraph_core.errors import UsageError
from camgraph_core.redaction import without_credentials, without_values
from camgraph_core.settings import changed, declared
from camgraph_server.config import ServerConfig
from camgraph_server.errors import BindError
from camgraph_server.transport.security import Security

ITEMS = {item.name: item for item in declared(ServerConfig)}
ODD_TEXTS = ["nan", "inf", "-inf", "-1", "0", "1e30", "1e308", str(10**30), "", " ", "true", "ж\u202e", "a=b", "[", "'"]
ODD_VALUES = [
    float("nan"), float("inf"), -1, 0, 10**30, 1e30, 2.7, "", "\0", "\ud7ff", "1", True, [], [1], ["a"], {}, {"a": 1},
]  # fmt: skip  # a table, a line each


# Thousands of runs follow, each of which would look through every installed package for the command.
_COMMANDS = cache(entry_points)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("camgraph_cli.main.entry_points", _COMMANDS)

    def invoke(*arguments: str, **environment: str):
        given = ["--model-repository", str(tmp_path), *arguments] if "--config" not in arguments else list(arguments)
        return CliRunner().invoke(cli, ["serve", "--print-config", *given], env=environment, prog_name="camgraph")

    return invoke


def written(value: object) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def assert_answered(result) -> None:
    """Either the settings are taken or the problem is told; nothing breaks."""
    assert result.exit_code in (0, 2), result.stderr
    assert "fault of camgraph" not in result.stderr
    assert result.exit_code == 0 or result.stderr.startswith("Error: ")


@pytest.mark.parametrize("name", ITEMS)
def test_no_value_of_a_setting_is_a_fault_of_camgraph(run, tmp_path, name):
    item, file = ITEMS[name], tmp_path / "camgraph.toml"
    for text in ODD_TEXTS:
        if item.kind is not bool:
            assert_answered(run(f"--{name}", text))
        assert_answered(run(**{f"CAMGRAPH_SERVE_{name.replace('-', '_').upper()}": text}))
    for value in ODD_VALUES:
        repository = "" if name == "model-repository" else f"model-repository = {json.dumps(str(tmp_path))}\n"
        file.write_text(f"[serve]\n{repository}{name} = {written(value)}\n", encoding="utf-8")
        assert_answered(run("--config", str(file)))


@pytest.mark.parametrize("name", [name for name, item in ITEMS.items() if item.kind in (int, float)])
def test_every_number_has_a_range(tmp_path, name):
    setting = ITEMS[name].setting
    assert setting.at_most is not None
    assert setting.at_least is not None or setting.above is not None
    for value in (float("nan"), float("inf"), -1, setting.at_most * 2):
        with pytest.raises(UsageError, match=name):
            ServerConfig(tmp_path, **{ITEMS[name].field: value})


def test_all_that_is_wrong_is_said_at_once_with_its_place(run, tmp_path):
    file = tmp_path / "camgraph.toml"
    file.write_text(
        f"[serve]\nmodel-repository = {json.dumps(str(tmp_path))}\nwokers = 2\nqueue-capacity = -1\n"
        "max-targets = 2.7\nlog-format = 'xml'\n"
    )
    result = run("--config", str(file), "--grace", "nan", "--max-megapixels", "0", CAMGRAPH_SERVE_WORKERS="many")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: 7 things are wrong:"
    for part in (
        "no option 'wokers'; the closest is 'workers'",
        "'max-targets' in [serve] takes a whole number, not 2.7",
        "It stands in the config file, as 'queue-capacity'.",
        "It stands in the config file, as 'log-format'.",
        "It stands in the environment, as CAMGRAPH_SERVE_WORKERS.",
        "'--max-megapixels'",
        "'nan' is not a number",
    ):
        assert sum(part in line for line in lines) == 1, result.stderr


def test_values_that_do_not_fit_together_are_said_with_values_that_are_wrong(run, tmp_path):
    key = tmp_path / "key.pem"
    key.touch()
    result = run(
        *("--tls-key", str(key), "--traces", "nowhere", "--max-batch-size", "2", "--batch-buckets", "3"),
        *("--workers", "many", "--listen", "nowhere", "--grace", "-1"),
    )
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: 6 things are wrong:"
    for part in ("tls-cert and tls-key", "not nowhere", "'nowhere' is not HOST:PORT", "batch buckets", "'many'", "-1"):
        assert sum(part in line for line in lines) == 1, result.stderr


def test_a_check_that_needs_a_value_that_is_wrong_says_nothing(run, tmp_path):
    key = tmp_path / "key.pem"
    key.touch()
    result = run("--tls-key", str(key), "--tls-cert", "absent.pem", "--listen", "unix:socket", "--processes", "none")
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: 2 things are wrong:"
    assert "absent.pem" in result.stderr
    assert "'none'" in result.stderr


def test_files_that_cannot_be_used_are_said_at_once(tmp_path):
    for name in ("cert.pem", "key.pem", "clients.toml"):
        (tmp_path / name).write_text("nonsense")
    files = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem", "clients": tmp_path / "clients.toml"}
    with pytest.raises(BindError, match="2 things are wrong") as caught:
        asyncio.run(Security(ServerConfig(tmp_path, **files)).start())
    assert "clients.toml" in str(caught.value)
    assert "TLS files" in str(caught.value)


def test_values_that_do_not_fit_together_are_said_at_once(tmp_path):
    with pytest.raises(UsageError, match="3 things are wrong") as caught:
        ServerConfig(tmp_path, tls_cert=Path("a"), listen="nowhere", grace=float("nan"))
    assert len(str(caught.value).splitlines()) == 4


def test_what_is_printed_is_a_file_that_says_the_same(run, tmp_path):
    first = run("--workers", "3", "--no-reflection", CAMGRAPH_SERVE_LOG_FORMAT="json")
    assert first.exit_code == 0, first.stderr
    table = tomllib.loads(first.output)["serve"]
    assert (table["workers"], table["no-reflection"], table["log-format"]) == (3, True, "json")
    assert set(table) <= set(ITEMS)
    file = tmp_path / "printed.toml"
    file.write_text(first.output, encoding="utf-8")
    assert run("--config", str(file)).output == first.output


SECRETS = {
    "device": ("azure:model=x,auth_key=hush,path=/a=hush", "azure:model=***,auth_key=***,path=***"),
    "traces": ("https://me:hush@collector:4318/v1?key=hush", "https://***@collector:4318/v1?***"),
    "model-repository": ("simplecache::s3://bucket/models?token=hush", "simplecache::s3://bucket/models?***"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_neither_printed_nor_logged(name, tmp_path):
    given, public = SECRETS[name]
    settings = {"model-repository": str(tmp_path), name: given}
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    printed = CliRunner().invoke(cli, ["serve", "--print-config", *options], prog_name="camgraph")
    assert printed.exit_code == 0, printed.stderr
    assert name not in tomllib.loads(printed.output)["serve"]
    assert f'# {name} may hold a secret and is left out: "{public}"' in printed.output.splitlines()

    fields = {ITEMS[key].field: value for key, value in settings.items()}
    told = changed(ServerConfig(**fields))
    assert told[name] == public
    assert "hush" not in printed.output + str(told)


@pytest.mark.parametrize("text", ["cpu", "/models/a@b", "http://collector:4318", "s3://bucket/models", "unix:/a@b"])
def test_texts_without_a_secret_are_shown_as_they_are(text):
    assert without_credentials(text) == without_values(text) == text


def test_a_secret_is_in_no_error_about_its_value(run):
    for option in ("--traces", "--model-repository"):
        result = run(option, "ftp://me:hush@host/models?key=hush")
        assert result.exit_code == 2
        assert "hush" not in result.stderr


def test_the_schema_knows_every_setting_with_its_range():
    result = CliRunner().invoke(cli, ["serve", "--config-schema"])
    assert result.exit_code == 0, result.stderr
    table = json.loads(result.output)["properties"]["serve"]
    assert list(table["properties"]) == list(ITEMS)
    assert table["additionalProperties"] is False
    assert table["properties"]["grace"]["minimum"] == 0
    assert table["properties"]["max-megapixels"]["exclusiveMinimum"] == 0
    assert table["properties"]["log-level"]["enum"] == ["debug", "info", "warning", "error"]
    assert table["properties"]["no-reflection"] == {
        "description": ITEMS["no-reflection"].setting.help,
        "type": "boolean",
        "default": False,
    }
