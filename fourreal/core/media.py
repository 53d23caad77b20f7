"""Videos, GIFs, images and image folders in; H.264 mp4 and PNG out.

Frames are `[T, 3, H, W]` float32 sRGB in [0, 1]. Rotated phone footage is turned upright, 10-bit
footage converted, transparent images laid on white. Only the frames asked for are kept, each
shrunk as it is decoded, so a long 4K clip does not need its size in memory.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fourreal.core.atomic import atomic_file
from fourreal.core.errors import InputError

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


def read_clip(
    path: str | Path,
    *,
    count: int | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
) -> Clip:
    """Read any video file, GIF, single image or folder of images (in natural name order).

    Args:
        count: keep this many frames. With `fps`: the first `count` at that rate; without: evenly
            over the whole clip, first and last included.
        fps: keep frames at this rate (nearest in time). For an image folder it is the rate the
            images were taken at, 1 when left out.
        size: (height, width) every frame is scaled and centre-cropped to.

    Raises:
        InputError: missing, empty, truncated, not a video; fewer frames than asked for; frames
            of different sizes in one folder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a video, an image or a folder of images")
    if count is not None and count < 1:
        raise InputError(f"at least one frame must be read; got a count of {count}")
    if fps is not None and not fps > 0:
        raise InputError(f"fps must be positive; got {fps}")
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return _read_images(path, count, fps or 1.0, size)
    times = _frame_times(path)
    keep = _choose(times, count, fps, path)
    kept = dict(_decode(path, set(keep), size))
    missing = [index for index in keep if index not in kept]
    if missing:
        raise InputError(f"{path} is truncated or damaged: frame {missing[0]} of {len(times)} cannot be decoded")
    seconds = torch.tensor([times[i] - times[keep[0]] for i in keep], dtype=torch.float32)
    return Clip(torch.stack([kept[i] for i in keep]), seconds)


def read_image(path: str | Path) -> Float[Tensor, "3 H W"]:
    """Read one image, upright (EXIF), transparent parts white. Raises InputError when it is none."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected an image")
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            pixels = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error
    return _to_float(pixels)


def write_image(path: str | Path, image: Float[Tensor, "3 H W"]) -> None:
    """Write a PNG (or what the suffix says), atomically. Values outside [0, 1] are clipped."""
    from PIL import Image

    with atomic_file(path) as partial:
        Image.fromarray(to_uint8(image[None])[0]).save(partial)


def write_video(
    path: str | Path, frames: Float[Tensor, "T 3 H W"], fps: float, quality: VideoQuality = "faithful"
) -> None:
    """Write an H.264 mp4, atomically. Every 8th frame is a key frame, so seeking is quick.

    A playable video needs even sizes: an odd one is extended by repeating its last row or column.
    """
    if not fps > 0:
        raise InputError(f"fps must be positive; got {fps}")
    if quality == "playable":
        odd = (0, frames.shape[-1] % 2, 0, frames.shape[-2] % 2)
        frames = torch.nn.functional.pad(frames, odd, mode="replicate") if any(odd) else frames
    with atomic_file(path) as partial:
        _encode(partial, to_uint8(frames), fps, quality)


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


def _read_images(path: Path, count: int | None, fps: float, size: tuple[int, int] | None) -> Clip:
    if path.is_dir():
        files = natural_order([p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."])
        if not files:
            raise InputError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    else:
        files = [path]
    # A folder's `fps` says when its images were taken, so `count` alone decides which are kept.
    times = [index / fps for index in range(len(files))]
    keep = _choose(times, count, None, path)
    frames = [read_image(files[index]) for index in keep]
    if size is not None:
        frames = [fit(frame, size) for frame in frames]
    shapes = sorted({tuple(frame.shape[1:]) for frame in frames})
    if len(shapes) > 1:
        raise InputError(
            f"images in {path} differ in size, e.g. (height, width) {shapes[0]} and {shapes[1]}; give a size"
        )
    return Clip(torch.stack(frames), torch.tensor([times[i] - times[keep[0]] for i in keep], dtype=torch.float32))


def _choose(times: Sequence[float], count: int | None, fps: float | None, path: Path) -> list[int]:
    """Indices of the frames to keep."""
    total = len(times)
    if fps is not None:
        stamps = np.asarray(times) - times[0]
        wanted = np.arange(0, stamps[-1] + 0.5 / fps, 1 / fps)
        keep = [int(i) for i in np.unique(np.abs(stamps[None] - wanted[:, None]).argmin(1))]
        available = f"{len(keep)} frames at {fps:g} per second"
    else:
        keep, available = list(range(total)), f"{total} frames"
    if count is None:
        return keep
    if count > len(keep):
        raise InputError(
            f"{path} has {available}, fewer than the {count} asked for; ask for fewer or give a longer clip"
        )
    if fps is not None:
        return keep[:count]
    return [round(i * (total - 1) / max(count - 1, 1)) for i in range(count)]


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
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if index in keep:
                    pixels = frame.to_ndarray(format="rgb24")
                    quarter_turns = round(frame.rotation / 90) % 4
                    image = _to_float(np.rot90(pixels, quarter_turns))
                    yield index, fit(image, size) if size is not None else image
                if index >= last:
                    return
    except (FFmpegError, ValueError) as error:
        raise InputError(f"{path} cannot be decoded ({_reason(error)}); it is truncated or damaged") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _to_float(pixels: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div_(255).contiguous()


# ---- writing ----------------------------------------------------------------------------------


def _encode(path: Path, frames: UInt8[np.ndarray, "T H W 3"], fps: float, quality: VideoQuality) -> None:
    import av

    pixel_format, crf = ("yuv444p", "10") if quality == "faithful" else ("yuv420p", "17")
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.options = {"crf": crf, "g": "8", "preset": "medium"}
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
