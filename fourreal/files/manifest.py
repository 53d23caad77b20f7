"""Reading JSON that a person or another program may have written: every value is checked, every error names its place.

`cameras.json`, `scene.json` and foreign `transforms.json` files all pass through `Fields`. Keys
nobody asks for are left alone, so other programs may add theirs.
"""

from __future__ import annotations

import contextlib
import math
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from fourreal.core.configs import read_json
from fourreal.core.errors import InputError

Default = TypeVar("Default")
_REQUIRED: Any = object()


@dataclass(frozen=True)
class Fields:
    """A JSON object and where it stands, for example `scene/cameras.json: frames[3]`."""

    values: dict[str, Any]
    where: str

    @classmethod
    def of(cls, value: Any, where: str) -> Fields:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object with keys, got {describe(value)}")
        return cls(value, where)

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def raw(self, key: str) -> Any:
        """The value of a key that must be there. Raises InputError when it is not."""
        if key not in self.values:
            raise InputError(f"{self.where}: the key '{key}' is missing")
        return self.values[key]

    def number(self, key: str, default: float = _REQUIRED) -> float:
        """A finite number."""
        if default is not _REQUIRED and key not in self:
            return default
        return _finite(self.raw(key), f"{self.where}.{key}")

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        value = self.raw(key)
        if type(value) is not int or not low <= value <= high:
            raise InputError(f"{self.where}.{key}: expected a whole number from {low} to {high}, got {describe(value)}")
        return value

    def text(self, key: str, default: str = _REQUIRED) -> str:
        if default is not _REQUIRED and key not in self:
            return default
        value = self.raw(key)
        if not isinstance(value, str):
            raise InputError(f"{self.where}.{key}: expected a text, got {describe(value)}")
        return value

    def choice(self, key: str, choices: tuple[Default, ...]) -> Default:
        value = self.raw(key)
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return choice
        listed = ", ".join(map(repr, choices))
        raise InputError(f"{self.where}.{key}: expected one of {listed}; got {describe(value)}")

    def numbers(self, key: str) -> list[float]:
        """A list of finite numbers."""
        return [_finite(item, f"{self.where}.{key}[{i}]") for i, item in enumerate(self._list(key))]

    def matrix(self, key: str, rows: int, columns: int) -> list[list[float]]:
        """`rows` lists of `columns` finite numbers."""
        value, where = self.raw(key), f"{self.where}.{key}"
        shaped = isinstance(value, list) and len(value) == rows
        if not shaped or not all(isinstance(row, list) and len(row) == columns for row in value):
            raise InputError(f"{where}: expected {rows} rows of {columns} numbers, got {describe(value)}")
        return [[_finite(item, f"{where}[{r}][{c}]") for c, item in enumerate(row)] for r, row in enumerate(value)]

    def objects(self, key: str, *, optional: bool = False) -> list[Fields]:
        """A list of objects; empty when `optional` and absent."""
        if optional and key not in self:
            return []
        return [Fields.of(item, f"{self.where}.{key}[{i}]") for i, item in enumerate(self._list(key))]

    def file(self, key: str, folder: Path) -> Path:
        """An existing file, named by a path inside `folder`."""
        name, where = self.text(key), f"{self.where}.{key}"
        pure = PurePosixPath(name)
        # A drive or a backslash is harmless on this system and an escape on another.
        if pure.is_absolute() or ".." in pure.parts or PureWindowsPath(name).anchor or "\\" in name or not pure.parts:
            raise InputError(f"{where}: expected a file inside {folder}, got the path {describe(name)}")
        try:
            found = (folder / pure).is_file()
        except OSError:
            found = False
        if not found:
            raise InputError(f"{where}: the file {describe(name)} is missing from {folder}")
        return folder / pure

    def _list(self, key: str) -> list[Any]:
        value = self.raw(key)
        if not isinstance(value, list):
            raise InputError(f"{self.where}.{key}: expected a list, got {describe(value)}")
        return value


def open_manifest(folder: Path, name: str, kind: str, version: int) -> Fields:
    """The manifest `name` of a folder written by this package.

    Raises:
        InputError: the folder or the manifest is missing, is not JSON, or is of another kind or version.
    """
    if not folder.is_dir():
        came = "it is a file" if folder.is_file() else "it does not exist"
        raise InputError(f"{folder}: expected a folder with a {name}, but {came}")
    path = folder / name
    if not path.is_file():
        raise InputError(f"{folder} holds no {name}; it is not a {kind} folder, or writing it was cut short")
    fields = Fields.of(read_json(path), str(path))
    fields.choice("format", (f"fourreal-{kind}",))
    came = fields.raw("format_version")
    if type(came) is not int or came != version:
        raise InputError(f"{path}: this program reads format_version {version}, the file has {describe(came)}")
    return fields


@contextlib.contextmanager
def located(where: str | Path) -> Iterator[None]:
    """Put the place before the message of any InputError raised in the block."""
    try:
        yield
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(where)) else f"{where}: {text}") from error


def describe(value: Any) -> str:
    """A short, safe picture of any JSON value for an error message."""
    return reprlib.repr(value).encode("ascii", "backslashreplace").decode()


def _finite(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            number = float(value)
            if math.isfinite(number):
                return number
    raise InputError(f"{where}: expected a finite number, got {describe(value)}")
