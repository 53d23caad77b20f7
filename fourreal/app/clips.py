"""Uploaded clips: recognised by opening them, not by name; names are reduced to harmless characters."""

from __future__ import annotations

import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fourreal.core.errors import InputError
from fourreal.core.media import ClipInfo, probe_clip

ClipKind = Literal["fixed", "freeze"]
"""fixed: seen by a camera that stands still. freeze: goes round a moment that stands still."""

SUFFIX_OF = {
    "mov": ".mp4",
    "matroska": ".mkv",
    "avi": ".avi",
    "gif": ".gif",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "ogg": ".ogv",
    "asf": ".wmv",
    "flv": ".flv",
}
"""Containers that hold their own frames, by FFmpeg's name. Playlists, which can point at other files of this
machine or at the network, are not among them."""

MAX_SIDE_PX = 8192
NAME_LENGTH = 60


@dataclass(frozen=True)
class ReceivedClip:
    """A clip that was opened and is usable.

    Attributes:
        name: on the page.
    """

    path: Path
    name: str
    info: ClipInfo


def receive_clip(upload: Path, name: str, folder: Path, max_bytes: int) -> ReceivedClip:
    """Check an uploaded file and move it into a folder, which then holds nothing else.

    Args:
        upload: the file; removed afterwards in any case.
        name: given by the browser.
        max_bytes: refuse a larger one.

    Raises:
        InputError: too large, or no video and no GIF.
    """
    shown = safe_stem(name)
    try:
        if (size := upload.stat().st_size) > max_bytes:
            raise InputError(
                f"{shown} has {size / 1e6:.0f} MB, more than the {max_bytes / 1e6:.0f} MB taken here; cut it shorter"
            )
        suffix = _container_suffix(upload, shown)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        kept = Path(shutil.move(upload, folder / f"{shown}{suffix}"))
    finally:
        upload.unlink(missing_ok=True)
    try:
        # FFmpeg also looks at the name, and that is another one now.
        _container_suffix(kept, shown)
        return look_at_clip(kept)
    except InputError:
        shutil.rmtree(folder)
        raise


def look_at_clip(path: Path) -> ReceivedClip:
    """A clip on disk. Raises InputError where it is none."""
    return ReceivedClip(path, path.name, probe_clip(path))


def safe_stem(name: str) -> str:
    """A file name without folders, suffix, controls and punctuation; letters of all languages stay."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    stem = last.rsplit(".", 1)[0] if "." in last[1:] else last
    kept = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
    return kept.strip("-_")[:NAME_LENGTH] or "clip"


def _container_suffix(path: Path, shown: str) -> str:
    """The suffix that fits what FFmpeg finds in the file; nothing outside the known containers is opened."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), options={"format_whitelist": ",".join(SUFFIX_OF)}) as container:
            names = container.format.name.split(",")
            sizes = [(video.height, video.width) for video in container.streams.video]
    except (FFmpegError, ValueError) as error:
        raise InputError(f"{shown} is no video and no GIF; give an mp4, mov, webm, mkv, avi or gif file") from error
    if not sizes:
        raise InputError(f"{shown} holds no pictures; give a clip with a video stream")
    if max(sizes[0]) > MAX_SIDE_PX:
        height, width = sizes[0]
        raise InputError(f"{shown} is {width} x {height} pixels; give a clip of at most {MAX_SIDE_PX} a side")
    return next(SUFFIX_OF[name] for name in names if name in SUFFIX_OF)
