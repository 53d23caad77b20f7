"""Videos, GIFs, images and image folders in; H.264 mp4 and PNG out.

Frames are `[T, 3, H, W]` float32 sRGB in [0, 1]. Rotated phone footage is turned upright, 10-bit
footage converted, transparent images laid on white. Only the frames asked for are kept, each
shrunk as it is decoded, so a long 4K clip does not need its size in memory.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fourreal.core.atomic import atomic_file, require_suffix
from fourreal.core.errors import InputError
from fourreal.core.linspace_indices import linspace_indices
from fourreal.core.reading import reading, require_memory, require_pixels

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
VideoQuality = Literal["faithful", "playable"]
"""faithful: H.264 with full colour resolution (yuv444p, about 40 dB), for data.
playable: yuv420p, what browsers and phones play; halving the colour resolution alone caps a
noisy synthetic video near 30 dB, so never measure against such a file."""


@dataclass(frozen=True)
class Clip:
    """Frames with their times. `seconds` starts at the first frame kept, at 0."""

    frames: Float[Tensor, "T 3 H W"]
    seconds: Float[Tensor, "T"]

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.frames.shape[-2], self.frames.shape[-1]


@dataclass(frozen=True)
class ClipInfo:
    """What a clip holds, found without decoding it (an image folder: by its first image).

    `seconds` are the times of its frames, starting at 0; `image_size` is (height, width), upright.
    """

    seconds: tuple[float, ...]
    image_size: tuple[int, int]
    codec: str

    @property
    def count(self) -> int:
        return len(self.seconds)

    @property
    def fps(self) -> float:
        """Mean frame rate; 1 for a single frame, which has none."""
        return (self.count - 1) / self.seconds[-1] if self.seconds[-1] > 0 else 1.0


def probe_clip(path: str | Path) -> ClipInfo:
    """Frame times, size and codec of anything `read_clip` reads. Raises InputError as it does."""
    path = _existing(path)
    if _is_images(path):
        files = _image_files(path)
        size = read_image(files[0]).shape[1:]
        codec = f"{len(files)} images" if path.is_dir() else "image"
        return ClipInfo(tuple(map(float, range(len(files)))), (size[0], size[1]), codec)
    times = _frame_times(path)
    _, first = next(_decode(path, {0}, None))
    import av

    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context.name
    return ClipInfo(tuple(time - times[0] for time in times), (first.shape[1], first.shape[2]), codec)


def read_clip(
    path: str | Path,
    *,
    count: int | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    start_s: float = 0.0,
    end_s: float = math.inf,
) -> Clip:
    """Read any video file, GIF, single image or folder of images (in natural name order).

    Args:
        start_s: leave out what comes before.
        end_s: leave out what comes at this time or after it.
        count: keep this many frames. With `fps`: the first `count` at that rate; without: evenly
            over the whole clip, first and last included.
        fps: keep frames at this rate (nearest in time). For an image folder it is the rate the
            images were taken at, 1 when left out.
        size: (height, width) every frame is scaled and centre-cropped to.

    Raises:
        InputError: missing, empty, truncated, not a video; fewer frames than asked for; frames
            of different sizes in one folder.
    """
    path = _existing(path)
    if count is not None and count < 1:
        raise InputError(f"at least one frame must be read; got a count of {count}")
    if fps is not None and not fps > 0:
        raise InputError(f"fps must be positive; got {fps}")
    if _is_images(path):
        files = _image_files(path)
        # A folder's `fps` says when its images were taken, so `count` alone decides which are kept.
        times = [index / (fps or 1.0) for index in range(len(files))]
        keep = _choose(times, _within(times, start_s, end_s, path), count, None, path)
        return Clip(_read_images([files[i] for i in keep], size), _since_first(times, keep))
    times = _frame_times(path)
    keep = _choose(times, _within(times, start_s, end_s, path), count, fps, path)
    kept: dict[int, Tensor] = {}
    for index, frame in _decode(path, set(keep), size):
        kept[index] = frame
        require_memory(2 * len(keep) * frame.nbytes, f"{path}: {len(keep)} frames")
    missing = [index for index in keep if index not in kept]
    if missing:
        raise InputError(f"{path} is truncated or damaged: frame {missing[0]} of {len(times)} cannot be decoded")
    return Clip(torch.stack([kept[i] for i in keep]), _since_first(times, keep))


def sample_clip(
    clip: Clip,
    *,
    count: int | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    start_s: float = 0.0,
    end_s: float = math.inf,
) -> Clip:
    """`read_clip` for frames that are in memory already. Raises InputError as it does."""
    times = clip.seconds.tolist()
    keep = _choose(times, _within(times, start_s, end_s, "the clip"), count, fps, "the clip")
    frames = clip.frames[keep]
    return Clip(frames if size is None else fit(frames, size), _since_first(times, keep))


def read_image(path: str | Path) -> Float[Tensor, "3 H W"]:
    """Read one image, upright (EXIF), transparent parts white. Raises InputError when it is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected an image")
    with reading(path, "an image"):
        return _to_float(decode_image(path, path))


def decode_image(file: Any, where: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of an image file (or its path), upright, transparent parts white; its size is checked first."""
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        require_pixels(opened.height, opened.width, where)
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


def write_image(path: str | Path, image: Float[Tensor, "3 H W"]) -> None:
    """Write a PNG (or what the suffix says), atomically. Values outside [0, 1] are clipped."""
    from PIL import Image

    require_suffix(path, IMAGE_SUFFIXES)
    with atomic_file(path) as partial:
        Image.fromarray(to_uint8(image[None])[0]).save(partial)


def write_video(
    path: str | Path, frames: Float[Tensor, "T 3 H W"], fps: float, quality: VideoQuality = "faithful"
) -> None:
    """Write an H.264 mp4, atomically. Every 8th frame is a key frame, so seeking is quick.

    A playable video needs even sizes: an odd one is extended by repeating its last row or column.
    """
    write_video_stream(path, frames, fps, quality)


def write_video_stream(
    path: str | Path, frames: Iterable[Float[Tensor, "3 H W"]], fps: float, quality: VideoQuality = "faithful"
) -> None:
    """`write_video` for frames that come one by one, so that a long video never is in memory whole.

    Raises:
        InputError: there are no frames, fps is not positive, or the name is not a video's.
    """
    if not fps > 0:
        raise InputError(f"fps must be positive; got {fps}")
    require_suffix(path, (".mp4", ".m4v", ".mov"))
    with atomic_file(path) as partial:
        _encode(partial, frames, fps, quality)


def fit(frames: Float[Tensor, "*batch 3 H W"], size: tuple[int, int]) -> Float[Tensor, "*batch 3 h w"]:
    """Scale (antialiased) and centre-crop frames to (height, width), keeping their proportions.

    `fit_window` says which part is kept; cameras follow by `cropped(...)` and `resized(size)`.
    """
    if tuple(frames.shape[-2:]) == tuple(size):
        return frames
    top, left, window = fit_window((frames.shape[-2], frames.shape[-1]), size)
    cropped = frames[..., top : top + window[0], left : left + window[1]]
    flat = cropped.reshape(-1, *cropped.shape[-3:])
    scaled = torch.nn.functional.interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return scaled.clamp(0, 1).reshape(*frames.shape[:-2], *size)


def fit_window(source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
    """The centred window of `source` (height, width) with `target`'s proportions: top, left, (height, width)."""
    if min(target) < 1:
        raise InputError(f"a frame size is (height, width), at least 1 pixel each; got {target}")
    scale = min(source[0] / target[0], source[1] / target[1])
    height = min(source[0], max(1, round(target[0] * scale)))
    width = min(source[1], max(1, round(target[1] * scale)))
    return (source[0] - height) // 2, (source[1] - width) // 2, (height, width)


def to_uint8(frames: Float[Tensor, "T 3 H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Clip, round and move channels last."""
    return (frames.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def natural_order(paths: Sequence[Path]) -> list[Path]:
    """Sort so that frame2 comes before frame10."""
    return sorted(paths, key=lambda path: [int(s) if s.isdigit() else s.lower() for s in re.split(r"(\d+)", path.name)])


# ---- reading ----------------------------------------------------------------------------------


def _existing(path: str | Path) -> Path:
    if not Path(path).exists():
        raise InputError(f"{path} does not exist; expected a video, an image or a folder of images")
    return Path(path)


def _is_images(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES


def _image_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = natural_order([p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."])
    if not files:
        raise InputError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return files


def _read_images(files: Sequence[Path], size: tuple[int, int] | None) -> Float[Tensor, "T 3 H W"]:
    frames = []
    for file in files:
        frame = read_image(file) if size is None else fit(read_image(file), size)
        require_memory(2 * len(files) * frame.nbytes, f"{file.parent}: {len(files)} images")
        frames.append(frame)
        if frame.shape != frames[0].shape:
            raise InputError(
                f"{file} is (height, width) {tuple(frame.shape[1:])} but {files[0].name} is "
                f"{tuple(frames[0].shape[1:])}: images of one clip may not differ in size; give a size to fit them to"
            )
    return torch.stack(frames)


def _since_first(times: Sequence[float], keep: Sequence[int]) -> Float[Tensor, "T"]:
    return torch.tensor([times[i] - times[keep[0]] for i in keep], dtype=torch.float32)


def _within(times: Sequence[float], start_s: float, end_s: float, path: str | Path) -> list[int]:
    """Indices of the frames in [start_s, end_s), counted from the first frame's time."""
    inside = [index for index, time in enumerate(times) if start_s <= time - times[0] < end_s]
    if not inside:
        raise InputError(
            f"{path} has no frame between {start_s:g} and {end_s:g} s; it lasts {times[-1] - times[0]:.2f} s"
        )
    return inside


def _choose(
    times: Sequence[float], inside: list[int], count: int | None, fps: float | None, path: str | Path
) -> list[int]:
    """Which of the frames `inside` to keep."""
    if fps is not None:
        stamps = np.asarray([times[i] - times[inside[0]] for i in inside])
        wanted = np.arange(0, stamps[-1] + 0.5 / fps, 1 / fps)
        midpoints = (stamps[1:] + stamps[:-1]) / 2
        keep = [inside[i] for i in np.unique(np.searchsorted(midpoints, wanted))]
        available = f"{len(keep)} frames at {fps:g} per second"
    else:
        keep, available = inside, f"{len(inside)} frames"
    if count is None:
        return keep
    if count > len(keep):
        raise InputError(
            f"{path} has {available}, fewer than the {count} asked for; ask for fewer or give a longer clip"
        )
    if fps is not None:
        return keep[:count]
    return [inside[place] for place in linspace_indices(len(inside), count)]


def _frame_times(path: Path) -> list[float]:
    """Presentation times of all frames, in seconds, without decoding any."""
    import av
    from av.error import FFmpegError

    stamps: list[float] = []
    promised = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no video stream")
            stream = container.streams.video[0]
            promised = stream.frames
            rate = float(stream.average_rate or 25)
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                stamp, base = packet.pts if packet.pts is not None else packet.dts, packet.time_base
                stamps.append(len(stamps) / rate if stamp is None or base is None else float(stamp * base))
    except (FFmpegError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a video ({_reason(error)})") from error
    if not stamps:
        raise InputError(f"{path} holds no frames; it is empty or truncated")
    if promised > len(stamps):
        raise InputError(f"{path} is truncated: {len(stamps)} of {promised} frames are there")
    # Damaged clocks (equal or missing stamps) fall back to the frame rate.
    stamps.sort()
    if any(b <= a for a, b in itertools.pairwise(stamps)):
        stamps = [index / rate for index in range(len(stamps))]
    return stamps


def _decode(path: Path, keep: set[int], size: tuple[int, int] | None) -> Iterator[tuple[int, Float[Tensor, "3 H W"]]]:
    import av
    from av.error import FFmpegError

    last = max(keep)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            require_pixels(stream.height, stream.width, path)
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                require_pixels(frame.height, frame.width, path)
                if index in keep:
                    pixels = frame.to_ndarray(format="rgb24")
                    quarter_turns = round(frame.rotation / 90) % 4
                    image = _to_float(np.rot90(pixels, quarter_turns))
                    yield index, fit(image, size) if size is not None else image
                if index >= last:
                    return
    except (FFmpegError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be decoded ({_reason(error)}); it is truncated or damaged") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _to_float(pixels: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div_(255).contiguous()


def _encode(path: Path, frames: Iterable[Float[Tensor, "3 H W"]], fps: float, quality: VideoQuality) -> None:
    import av

    pixel_format, crf = ("yuv444p", "10") if quality == "faithful" else ("yuv420p", "17")
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.pix_fmt = pixel_format
        stream.options = {"crf": crf, "g": "8", "preset": "medium"}
        count = 0
        for image in frames:
            odd = (0, image.shape[-1] % 2, 0, image.shape[-2] % 2) if quality == "playable" else (0, 0, 0, 0)
            even = torch.nn.functional.pad(image[None], odd, mode="replicate") if any(odd) else image[None]
            pixels = to_uint8(even)[0]
            if count == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            count += 1
        if count == 0:
            raise InputError(f"a video needs at least one frame; there were none for {path}")
        container.mux(stream.encode(None))
