"""JSON files, read strictly: a config into a frozen dataclass, the manifest of a folder key by key.

Whatever is wrong is refused with one sentence that names the place. A config may not hold an unknown
key, and the sentence names the nearest known one; a manifest may, because other programs add theirs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import enum
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError
from fourreal.core.plain_text import plain
from fourreal.core.reading import inside, read_text, reading

Config = TypeVar("Config")
_REQUIRED: Any = object()
_WORDS = {float: "a finite number", int: "a whole number", str: "a text", bool: "true or false"}


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON values."""
    assert dataclasses.is_dataclass(config)
    assert not isinstance(config, type)
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def from_dict(config_type: type[Config], values: Any, where: str = "config") -> Config:
    """Build a config from plain values. Keys left out take their defaults.

    Raises:
        InputError: an unknown key (the nearest known one is named), a missing one, a wrong type.
    """
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected an object with keys, got {describe(values)}")
    assert dataclasses.is_dataclass(config_type)
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(fields)}"
            raise InputError(f"{where}: unknown key '{_shorten(key)}'; {hint}")
    hints = typing.get_type_hints(config_type)
    built = {key: _parse(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in built:
            raise InputError(f"{where}: the key '{name}' is missing")
    with reading(where):
        return config_type(**built)


def rename_keys(values: Any, renamed: Mapping[str, str]) -> Any:
    """Plain values of an older version with today's keys, at every depth."""
    if isinstance(values, dict):
        return {renamed.get(key, key): rename_keys(value, renamed) for key, value in values.items()}
    return [rename_keys(value, renamed) for value in values] if isinstance(values, list) else values


def save_config(path: str | Path, config: Any) -> None:
    """Write a config as indented JSON, atomically."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(to_dict(config), indent=2) + "\n", encoding="utf-8")


def load_config(path: str | Path, config_type: type[Config]) -> Config:
    """Read a config written by `save_config` or by hand. Raises InputError naming the file and the place."""
    return from_dict(config_type, read_json(path), str(path))


def read_json(path: str | Path) -> Any:
    """Parse a JSON file. Raises InputError when it is missing or is not JSON (NaN included)."""
    text = read_text(path)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


def read_fields(path: str | Path) -> Fields:
    """A JSON file that holds an object. Raises InputError as `read_json`, or when it holds another value."""
    return Fields.of(read_json(path), str(path))


@dataclass(frozen=True)
class Fields:
    """A JSON object and where it stands, for example `scene/cameras.json: frames[3]`. Methods raise InputError."""

    values: dict[str, Any]
    where: str

    @classmethod
    def of(cls, value: Any, where: str) -> Fields:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object with keys, got {describe(value)}")
        return cls(value, where)

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def overlaid(self, entry: Fields) -> Fields:
        """The keys of both; those of `entry` win."""
        return Fields(self.values | entry.values, entry.where)

    def raw(self, key: str) -> Any:
        """The value of a key that must be there."""
        if key not in self.values:
            raise InputError(f"{self.where}: the key '{key}' is missing")
        return self.values[key]

    def number(self, key: str, default: float = _REQUIRED) -> float:
        """A finite number."""
        return self._value(float, key, default)

    def text(self, key: str, default: str = _REQUIRED) -> str:
        return self._value(str, key, default)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        value = self.raw(key)
        if type(value) is not int or not low <= value <= high:
            raise InputError(f"{self.where}.{key}: expected a whole number from {low} to {high}, got {describe(value)}")
        return value

    def choice(self, key: str, choices: tuple[Config, ...]) -> Config:
        return _one_of(choices, self.raw(key), f"{self.where}.{key}")

    def matrix(self, key: str, rows: int, columns: int) -> list[list[float]]:
        """`rows` lists of `columns` finite numbers."""
        value, where = self.raw(key), f"{self.where}.{key}"
        shaped = isinstance(value, list) and len(value) == rows
        if not shaped or not all(isinstance(row, list) and len(row) == columns for row in value):
            raise InputError(f"{where}: expected {rows} rows of {columns} numbers, got {describe(value)}")
        return _parse(list[list[float]], value, where)

    def objects(self, key: str, *, optional: bool = False) -> list[Fields]:
        """A list of objects; empty when `optional` and absent."""
        if optional and key not in self:
            return []
        value, where = self.raw(key), f"{self.where}.{key}"
        if not isinstance(value, list):
            raise InputError(f"{where}: expected a list, got {describe(value)}")
        return [Fields.of(item, f"{where}[{i}]") for i, item in enumerate(value)]

    def file(self, key: str, folder: Path, *, follow_links: bool = False) -> Path:
        """An existing file, named by a path inside `folder`."""
        name, where = self.text(key), f"{self.where}.{key}"
        path = inside(folder, name, where, follow_links=follow_links)
        try:
            found = path.is_file()
        except (OSError, ValueError):
            found = False
        if not found:
            raise InputError(f"{where}: the file '{plain(name, 80)}' is missing from {folder}")
        return path

    def _value(self, kind: type, key: str, default: Any) -> Any:
        if default is not _REQUIRED and key not in self:
            return default
        return _parse(kind, self.raw(key), f"{self.where}.{key}")


def describe(value: Any) -> str:
    """A short, safe picture of any JSON value for an error message."""
    try:
        text = json.dumps(value, default=str)
    except RecursionError:  # what the reader just unpacked can be too deep to pack again
        return f"{type(value).__name__} nested too deeply to show"
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    assert value is None or isinstance(value, (bool, int, float, str)), f"configs cannot hold {type(value)}"
    return value


def _parse(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _parse_union(arguments, value, where)
    if origin is typing.Literal:
        return _one_of(arguments, value, where)
    if origin in (tuple, list):
        return _parse_sequence(origin, arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object, got {describe(value)}")
        return {key: _parse(arguments[1], item, f"{where}.{_shorten(key)}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    return _parse_scalar(hint, value, where)


def _parse_union(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    problems = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _parse(choice, value, where)
        except InputError as error:
            problems.append(error)
    raise problems[0]


def _parse_sequence(origin: type, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise InputError(f"{where}: expected a list, got {describe(value)}")
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}")
        kinds = arguments
    else:
        kinds = (arguments[0],) * len(value)
    return origin(_parse(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _parse_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(_one_of(tuple(member.value for member in hint), value, where))
    if hint is Path and isinstance(value, str):
        return Path(value)
    # bool is an int to Python, but 1 is not True to a reader of the file.
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number
    elif hint in (bool, int, str) and type(value) is hint:
        return value
    raise InputError(f"{where}: expected {_WORDS.get(hint, getattr(hint, '__name__', hint))}, got {describe(value)}")


def _one_of(choices: tuple[Config, ...], value: Any, where: str) -> Config:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    raise InputError(f"{where}: expected one of {', '.join(map(repr, choices))}; got {describe(value)}")


def _shorten(key: object) -> str:
    """A key as it may stand in a one-line message, whatever it holds."""
    text = json.dumps(str(key))[1:-1]
    return text if len(text) <= 40 else text[:37] + "..."
