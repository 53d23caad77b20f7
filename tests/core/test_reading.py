"""Files of unknown origin: one sentence for every failure, sizes checked first, names kept inside their folder."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from fourreal.core import reading as module
from fourreal.core.checksums import CHECKSUMS, verify_checksums, write_checksums
from fourreal.core.errors import InputError
from fourreal.core.plain_text import plain
from fourreal.core.reading import inside, read_array, read_bytes, read_text, reading, require_pixels


@pytest.mark.parametrize(
    "error", [KeyError("w"), struct.error("short"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RecursionError()]
)
def test_any_error_becomes_one_sentence_that_names_the_file(error: Exception) -> None:
    with pytest.raises(InputError, match=r"a/b\.json cannot be read") as caught, reading("a/b.json"):
        raise error
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_a_sentence_that_names_the_file_stays_and_another_gets_its_name() -> None:
    with pytest.raises(InputError, match=r"^x\.ply: no Gaussians$"), reading("x.ply"):
        raise InputError("no Gaussians")
    with pytest.raises(InputError, match=r"^in x\.ply line 3 is short$"), reading("x.ply"):
        raise InputError("in x.ply line 3 is short")
    with pytest.raises(KeyboardInterrupt), reading("x.ply"):
        raise KeyboardInterrupt


def test_sizes_are_checked_before_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(InputError, match="5 bytes; expected at most 4"):
        read_bytes(tmp_path / "a", 4)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(InputError, match="at most"):
        read_text(tmp_path / "sparse")
    require_pixels(8192, 8192, "a")
    with pytest.raises(InputError, match="scale it down"):
        require_pixels(8192, 8193, "a")
    with pytest.raises(InputError, match="GiB of memory"):
        module.require_memory(1 << 60, "a")


def test_an_array_is_read_as_numpy_does_and_its_header_believed_only_so_far() -> None:
    for array in (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))):
        stream = io.BytesIO()
        np.save(stream, array)
        stream.seek(0)
        np.testing.assert_array_equal(read_array(stream, 100), array)
        stream.seek(0)
        with pytest.raises(InputError, match="declares"):
            read_array(stream, 10)
    objects = io.BytesIO()
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    objects.seek(0)
    with pytest.raises(InputError, match="array of numbers"):
        read_array(objects, 1 << 20)


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "b/../../a.png", "C:/a.png", "..\\a.png", ""])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected a file inside"):
        inside(tmp_path, name, "here")


def test_links_out_of_the_folder_are_followed_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    scene = tmp_path / "scene"
    scene.mkdir()
    (scene / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="is a link to a file outside"):
        inside(scene, "a.png", "here")
    assert inside(scene, "a.png", "here", follow_links=True).read_bytes() == b"x"
    (scene / "b.png").write_bytes(b"y")
    (scene / "c.png").symlink_to("b.png")
    (tmp_path / "linked").symlink_to(scene)
    assert inside(tmp_path / "linked", "c.png", "here").read_bytes() == b"y"


def test_text_from_files_moves_no_cursor_and_is_no_markup() -> None:
    assert plain("a\x1b[2J\r\nb\u202ec\u2028d\x9b") == "a [2J b c d"
    assert plain("x" * 10, 5) == "xx..."
    assert plain("Zoë, 東京 – 3 %") == "Zoë, 東京 – 3 %"
    escaped = plain("a|b <img src=x> [c](d) `e`", markup="markdown")
    assert escaped == r"a\|b &lt;img src=x&gt; \[c\](d) \`e\`"


def test_checksums_find_what_changed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"has no {CHECKSUMS}"):
        verify_checksums(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("a.bin", "sub/b c.bin"):
        (tmp_path / name).write_bytes(name.encode())
    write_checksums(tmp_path)
    write_checksums(tmp_path)
    assert verify_checksums(tmp_path) == 2
    (tmp_path / "sub" / "b c.bin").write_bytes(b"sub/b d.bin")
    with pytest.raises(InputError, match=r"b c\.bin differs from its checksum"):
        verify_checksums(tmp_path)
    (tmp_path / "sub" / "b c.bin").unlink()
    with pytest.raises(InputError, match=r"b c\.bin cannot be read"):
        verify_checksums(tmp_path)
    (tmp_path / CHECKSUMS).write_text("0" * 64 + "  ../a.bin\n")
    with pytest.raises(InputError, match="expected a file inside"):
        verify_checksums(tmp_path)
