"""Which images a run is about: files, folders and patterns of a shared store, and lists of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.core import has_magic

from camgraph_client.bulk.store import opened, whole
from camgraph_client.cli.photos import SUFFIXES
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.redaction import without_credentials

SCHEMA = pa.schema([("image", pa.string()), ("target", pa.string())])
"""An image by its path or URL, and the class to explain of it; empty where the run says it for all."""

_LIST = ".txt"
_TABLE = ".parquet"


def images_of(arguments: Sequence[str], column: str, target_column: str | None) -> pa.Table:
    """The images that are named, each once, in the order of their paths; a table of `SCHEMA`.

    Args:
        arguments: Paths or URLs: a picture, a folder, which stands for all pictures in it and in its folders, a pattern
            such as ``s3://photos/**/*.jpg``, a text file with a path per line, or Parquet files with a column of paths.
        column: The column with the paths.
        target_column: The column with the class to explain of each image, if there is one.

    Raises:
        UsageError: Nothing is there, or there is no such column.
        InvalidInputError: A list cannot be read.

    """
    named = pa.concat_tables([_named(whole(argument), column, target_column) for argument in arguments])
    keys = SCHEMA.names
    return named.group_by(keys).aggregate([]).select(keys).sort_by([(key, "ascending") for key in keys])


def _named(url: str, column: str, target_column: str | None) -> pa.Table:
    files, path = opened(url)
    try:
        found = list(_found(files, path))
    except Exception as error:  # each file system of fsspec has errors of its own
        raise InvalidInputError(without_credentials(f"{url} cannot be listed: {error}.")) from error
    if not found:
        raise UsageError(
            f"{without_credentials(url)} names no image. A folder's pictures end in {', '.join(sorted(SUFFIXES))}."
        )
    tables = [name for name in found if name.endswith(_TABLE)]
    lists = [name for name in found if name.endswith(_LIST)]
    pictures = [name for name in found if not name.endswith((_TABLE, _LIST))]
    host = _host(files, url)
    try:
        return pa.concat_tables(
            [
                _table(_whole_names(files, host, pictures)),
                *(_read_list(files, host, name) for name in lists),
                *(_read_table(files, host, name, column, target_column) for name in tables),
            ]
        )
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InvalidInputError(without_credentials(f"{url} cannot be read: {error}.")) from error


def _found(files: Any, path: str) -> Iterator[str]:
    """The files that an argument stands for. Those of a folder are its pictures, or if it has none its tables."""
    if has_magic(path) and not files.exists(path):
        yield from (name for name in files.glob(path) if not files.isdir(name))
    elif files.isdir(path):
        below = [name for name in files.find(path) if "/." not in name.removeprefix(path)]
        pictures = [name for name in below if PurePosixPath(name).suffix.lower() in SUFFIXES]
        yield from pictures or (name for name in below if name.endswith(_TABLE))
    elif files.exists(path):
        yield path


def _read_list(files: Any, host: str, name: str) -> pa.Table:
    lines = (line.strip() for line in files.cat_file(name).decode().splitlines())
    return _table([_beside(files, host, name, line) for line in lines if line])


def _read_table(files: Any, host: str, name: str, column: str, target_column: str | None) -> pa.Table:
    wanted = [column] if target_column is None else [column, target_column]
    with files.open(name, "rb") as file:
        table = pq.ParquetFile(file)
        missing = [each for each in wanted if each not in table.schema_arrow.names]
        if missing:
            has = ", ".join(table.schema_arrow.names)
            raise UsageError(f"{name} has no column {missing[0]!r}. It has {has}.")
        read = table.read(wanted)
    if read[column].null_count:
        raise InvalidInputError(f"{name} has rows without a path in the column {column!r}.")
    paths = [_beside(files, host, name, path) for path in read[column].to_pylist()]
    return _table(paths, None if target_column is None else pc.cast(read[target_column], pa.string()))


def _table(paths: Sequence[str], targets: Any = None) -> pa.Table:
    named = pa.chunked_array([pa.array(paths, pa.string())])
    targets = pa.nulls(len(paths), pa.string()) if targets is None else targets
    return pa.table([named, pc.fill_null(targets, "")], schema=SCHEMA)


def _beside(files: Any, host: str, name: str, path: str) -> str:
    """A path of a list: a URL, an absolute path, or one that starts at the folder of the list."""
    if "://" in path or path.startswith("/"):
        return path
    [folder] = _whole_names(files, host, [name.rpartition("/")[0]])
    return f"{folder}/{path}"


def _whole_names(files: Any, host: str, names: Sequence[str]) -> list[str]:
    """Names of a file system as URLs; of this machine's files as absolute paths."""
    if "file" in files.protocol:
        return list(names)
    return [host + name if host and name.startswith("/") else files.unstrip_protocol(name) for name in names]


def _host(files: Any, url: str) -> str:
    """The begin of a URL whose host the names of its file system do not have, as with sftp; else empty.

    Raises:
        UsageError: It has a password, which would stand in the results.
    """
    parts = urlsplit(url)
    if not parts.netloc or "::" in url or parts.netloc in files._strip_protocol(url):
        return ""
    if parts.password is not None:
        raise UsageError(
            f"{without_credentials(url)} has a password, which would stand in the results. Leave it out, and set "
            f"FSSPEC_{parts.scheme.upper()}_PASSWORD on each machine, or use a key."
        )
    return f"{parts.scheme}://{parts.netloc}"
