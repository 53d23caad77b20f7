"""Frozen dataclass configs to JSON and back, strictly.

A file with an unknown key, a wrong type or a value outside a `Literal` is refused with one
sentence that names the place and, for a misspelt key, the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError

Config = TypeVar("Config")


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
        raise InputError(f"{where}: expected an object with keys, got {_describe(values)}")
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
    try:
        return config_type(**built)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


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
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'not text'})") from error
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


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
        if value not in arguments or not any(type(value) is type(a) and value == a for a in arguments):
            raise InputError(f"{where}: expected one of {', '.join(map(repr, arguments))}; got {_describe(value)}")
        return value
    if origin in (tuple, list):
        return _parse_sequence(origin, arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object, got {_describe(value)}")
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
        raise InputError(f"{where}: expected a list, got {_describe(value)}")
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
        try:
            return hint(value)
        except ValueError:
            known = ", ".join(repr(member.value) for member in hint)
            raise InputError(f"{where}: expected one of {known}; got {_describe(value)}") from None
    if hint is Path and isinstance(value, str):
        return Path(value)
    # bool is an int to Python, but 1 is not True to a reader of the file.
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{where}: {str(value)[:20]}... is too large a number") from None
    if hint in (bool, int, str) and type(value) is hint:
        return value
    raise InputError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {_describe(value)}")


def _describe(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:  # what the reader just unpacked can be too deep to pack again
        return f"{type(value).__name__} nested too deeply to show"
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def _shorten(key: object) -> str:
    """A key as it may stand in a one-line message, whatever it holds."""
    text = json.dumps(str(key))[1:-1]
    return text if len(text) <= 40 else text[:37] + "..."
