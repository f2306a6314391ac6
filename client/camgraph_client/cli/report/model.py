"""Which model explained: its digest and its certificate, as reports state them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camgraph.v1.manifest_pb2 import Manifest
from camgraph_client.cli.report.rows import plain
from camgraph_runtime.digest import digest_of_file


def facts_of_file(path: Path, manifest: Manifest) -> dict[str, Any]:
    """What is stated of a graph's file; its digest is computed.

    Raises:
        InvalidGraphError: The file cannot be read.

    """
    found = digest_of_file(path)
    stated = manifest.digest
    as_proven = found == stated if stated.graph_sha256 else None
    return {**_facts(path.name, manifest), "sha256": found.graph_sha256, "as_proven": as_proven}


def facts_of_served(name: str, version: str, manifest: Manifest) -> dict[str, Any]:
    """What is stated of a server's model; its digest is the one that its manifest states, empty without one."""
    return {**_facts(f"{name}, version {version}", manifest), "sha256": manifest.digest.graph_sha256, "as_proven": None}


def _facts(name: str, manifest: Manifest) -> dict[str, Any]:
    certificate = manifest.certificate
    return {
        "name": name,
        "source_sha256": manifest.source.sha256,
        "certificate": {
            "passed": certificate.passed,
            "seed": certificate.seed,
            "checks": [
                plain(
                    {
                        "name": check.name,
                        "description": check.description,
                        "error": check.error,
                        "tolerance": None if check.is_statement else check.tolerance,
                        "passed": check.passed,
                        "remark": check.remark,
                    }
                )
                for check in certificate.checks
            ],
        },
    }
