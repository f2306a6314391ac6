"""Models that are signed, as OpenSSF Model Signing does it (package `model-signing`).

A signature covers a whole folder, `NAME/VERSION`, and lies in it as `model.sig`; or a single file `NAME.onnx`, and lies
beside it as `NAME.onnx.sig`. Whatever is unclear is a refusal.
"""

from __future__ import annotations

import base64
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from camgraph_core.errors import InvalidGraphError, UsageError
from camgraph_runtime.bank.beside import bank_path
from camgraph_runtime.digest import digest_of_file
from camgraph_server.models.discovery import MODEL_FILE

_WHOLE_FILE = "."


class Signatures:
    """Checks that models are signed with the private key of a public one.

    Args:
        public_key: PEM file with an elliptic key.

    Raises:
        UsageError: The package `model-signing` is not installed.
    """

    def __init__(self, public_key: Path) -> None:
        if find_spec("model_signing") is None:
            raise UsageError("A signature-key needs the package model-signing; install camgraph[signing].")
        self._public_key = public_key

    def check(self, path: Path) -> None:
        """Checks a graph, the files with its weights and its memory bank.

        Raises:
            InvalidGraphError: One of them is not signed, or the signature is not of this key.
        """
        is_folder = path.name == MODEL_FILE
        signature = path.with_name("model.sig" if is_folder else f"{path.name}.sig")
        try:
            signed = self._signed(path.parent if is_folder else path, signature)
            beside = [file.name for file in digest_of_file(path).data_files]
        except InvalidGraphError:
            raise
        except Exception as error:  # of a library for files of strangers
            raise InvalidGraphError(
                f"The signature {signature} does not hold for {path.name} ({type(error).__name__}: {error}). The model "
                "is not loaded; sign it again."
            ) from error
        beside += [bank_path(path).name] if bank_path(path).exists() else []
        for name in [MODEL_FILE if is_folder else _WHOLE_FILE, *beside]:
            if name not in signed:
                raise InvalidGraphError(
                    f"The signature {signature} does not cover {path.name if name == _WHOLE_FILE else name}. The model "
                    "is not loaded; sign its whole folder, file by file."
                )

    def _signed(self, model: Path, signature: Path) -> set[str]:
        """The names of the files that a signature covers, after it was verified."""
        from model_signing import verifying  # noqa: PLC0415 - an extra, and slow to import

        if not signature.is_file():
            raise InvalidGraphError(f"{model.name} has no signature {signature}, so it is not loaded. Sign it.")
        verifying.Config().use_elliptic_key_verifier(public_key=self._public_key).verify(model, signature)
        bundle: Any = json.loads(signature.read_bytes())
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        return {resource["name"] for resource in statement["predicate"]["resources"]}
