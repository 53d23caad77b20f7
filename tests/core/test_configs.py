"""Configs survive the trip to disk and refuse everything that is not one."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourreal.core.configs import from_dict, load_config, save_config, to_dict
from fourreal.core.errors import InputError


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 8
    name: str = "x"


@dataclasses.dataclass(frozen=True)
class Outer:
    required: float
    kind: Literal["a", "b"] = "a"
    size: tuple[int, int] = (4, 6)
    rates: tuple[float, ...] = (0.1,)
    inner: Inner = Inner()
    mode: Mode = Mode.FAST
    maybe: int | None = None
    table: dict[str, float] = dataclasses.field(default_factory=dict)
    on: bool = True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    config = Outer(2.5, "b", (1, 2), (0.5, 1.0), Inner(3, "é"), Mode.EXACT, 7, {"k": 1.5}, False)
    save_config(tmp_path / "config.json", config)
    assert load_config(tmp_path / "config.json", Outer) == config


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "'required' is missing"),
        ({"required": 1, "knid": "a"}, "unknown key 'knid'; did you mean 'kind'"),
        ({"required": 1, "inner": {"widht": 3}}, "config.inner: unknown key 'widht'; did you mean 'width'"),
        ({"required": 1, "zzz": 0}, "known keys: required"),
        ({"required": "1"}, "config.required: expected a finite number, got str"),
        ({"required": True}, "expected a finite number, got bool"),
        ({"required": 1, "on": 1}, "expected true or false, got int"),
        ({"required": 1, "kind": "c"}, "one of 'a', 'b'"),
        ({"required": 1, "size": [1]}, "expected 2 values, got 1"),
        ({"required": 1, "mode": "slow"}, "'fast', 'exact'"),
        ({"required": 1, "maybe": "x"}, "config.maybe: expected a whole number"),
        ([], "expected an object"),
    ],
)
def test_wrong_values_are_named_with_their_place(values: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        from_dict(Outer, values)


@given(JSON)
def test_any_json_is_read_or_refused(values: object) -> None:
    try:
        config = from_dict(Outer, values)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert from_dict(Outer, to_dict(config)) == config


@given(st.sampled_from([f.name for f in dataclasses.fields(Outer)]), JSON)
def test_any_single_wrong_value_is_read_or_refused(name: str, value: object) -> None:
    try:
        from_dict(Outer, {"required": 1.0} | {name: value})
    except InputError as error:
        assert name in str(error)


@pytest.mark.parametrize("text", ["", "{", "[1, NaN]", "nul", "[" * 100_000])
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        load_config(tmp_path / "config.json", Outer)
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "absent.json", Outer)
