"""Which models there are, and where their graphs run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.redaction import names_user, without_values
from camgraph_core.settings import Setting

_MOST_SECONDS = 1_000_000.0


def is_url(text: str) -> bool:
    """Whether a repository is named by a URL, such as s3://bucket/models, and not by a path."""
    return "://" in text


def _folder_or_url(text: str) -> Path | str:
    if is_url(text):
        return text
    if not text or not Path(text).is_dir():  # an empty path would be the working directory
        raise ValueError("an existing folder, or a URL such as s3://bucket/models")
    return Path(text)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Which models there are, and where their graphs run."""

    model_repository: Annotated[
        Path | str,
        Setting(
            "Folder with NAME.onnx, NAME/model.onnx or NAME/VERSION/model.onnx, or the URL of one that fsspec knows, "
            "such as s3://bucket/models.",
            read=_folder_or_url,
            metavar="FOLDER|URL",
        ),
    ] = field(kw_only=False)
    model_cache: Annotated[
        Path | None,
        Setting(
            "Folder for a copy of a repository that is named by a URL. By default that of temporary files.",
            path="folder",
        ),
    ] = None
    max_download_mib: Annotated[
        int,
        Setting("Largest size in MiB of a repository that is named by a URL.", at_least=1, at_most=1_000_000_000),
    ] = 20_000
    device: Annotated[
        str,
        Setting(
            "Where graphs run: cpu, auto (CUDA if available), or a provider of onnxruntime as NAME[:KEY=VALUE,...], "
            "without which the server does not start.",
            metavar="DEVICE",
            hide=without_values,
        ),
    ] = "cpu"
    fast_int8: Annotated[
        bool, Setting("Keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU.")
    ] = False
    trial_load: Annotated[
        bool,
        Setting(
            "Do not open each file in a process of its own first, which a damaged file may end, and in which "
            "the memory of runs is measured. Without it, that is not counted.",
            option="--no-trial-load",
        ),
    ] = True
    load_timeout: Annotated[
        float,
        Setting(
            "Seconds that one model may take to load in the trial before, and that several processes get to load what "
            "a call names.",
            above=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 300.0
    max_model_memory_mib: Annotated[
        int,
        Setting(
            "Memory in MiB for the models of all processes together, and for their runs. 0 means two fifths of what "
            "there is.",
            at_least=0,
            at_most=1_000_000_000,
        ),
    ] = 0
    allow_uncertified: Annotated[bool, Setting("Serve graphs, too, that have no certificate or did not pass it.")] = (
        False
    )
    pins: Annotated[
        Path | None,
        Setting(
            "File with the SHA-256 of each file that may be loaded, as sha256sum prints it in the repository. No other "
            "model is served.",
            path="file",
        ),
    ] = None
    signature_key: Annotated[
        Path | None,
        Setting(
            "PEM file with the public elliptic key of those who sign models (OpenSSF Model Signing). No other model is "
            "served.",
            path="file",
        ),
    ] = None
    model_control: Annotated[
        bool,
        Setting(
            "Offer calls that load and unload models (camgraph.v1.ModelControlService): to every caller, or with "
            "--clients to those who may."
        ),
    ] = False
    reload_interval: Annotated[
        float,
        Setting(
            "Seconds between two looks for changed files of the repository. A change is followed when two looks in a "
            "row find it the same. 0 means that the server looks only when it is asked, by SIGHUP or by a call.",
            at_least=0,
            at_most=_MOST_SECONDS,
        ),
    ] = 5.0

    def check_models(self) -> None:
        """Raises `UsageError` if the repository's URL has a password, which the log would show."""
        if names_user(str(self.model_repository)):
            raise UsageError(
                "The URL of the model-repository names a user or a password, and settings are logged; leave them out, "
                "and give them to fsspec by its environment."
            )
