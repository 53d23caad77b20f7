"""Opening the manifest of a folder that this package wrote."""

from __future__ import annotations

from pathlib import Path

from fourreal.core.configs import Fields, read_fields
from fourreal.core.errors import InputError


def open_manifest(folder: Path, name: str, kind: str, version: int) -> Fields:
    """The manifest `name` of a folder.

    Raises:
        InputError: the folder or the manifest is missing, is not JSON, or is of another kind or version.
    """
    if not folder.is_dir():
        came = "it is a file" if folder.is_file() else "it does not exist"
        raise InputError(f"{folder}: expected a folder with a {name}, but {came}")
    if not (folder / name).is_file():
        raise InputError(f"{folder} holds no {name}; it is not a {kind} folder, or writing it was cut short")
    fields = read_fields(folder / name)
    fields.choice("format", (f"fourreal-{kind}",))
    came = fields.raw("format_version")
    if type(came) is not int or came != version:
        raise InputError(f"{fields.where}: this program reads format_version {version}, the file has {came!r:.20}")
    return fields
