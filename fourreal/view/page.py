"""A 4D scene as one HTML file: a timeline, orbit controls, no network, nothing to install.

The page is the viewer's own client with a recording inside. A recording is 32 bytes per Gaussian
and time before compression; centres are rounded to `CENTER_STEP`, which is far below a pixel and
makes the worst case (nothing repeats) an eighth smaller.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from fourreal.core.atomic import atomic_file, require_writable
from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene
from fourreal.core.grid import VideoGrid
from fourreal.core.progress import Progress, silent
from fourreal.view.layers import RigLayer, SplatLayer, rig_of
from fourreal.view.settings import PAGE_DEFAULTS, PageOptions
from fourreal.view.viewer_frame import ViewerFrame
from fourreal.view.viser_server import set_first_look, solid_color, start_server, stop_server

CENTER_STEP = 2.0**-10  # viewer units, a ten-thousandth of the viewing distance
CLIENT_MB = 0.9  # the viewer's client without any scene, rounded up
# What a Gaussian takes at the very least: a scene too large by this measure is not worth compressing.
LEAST_BYTES_PER_GAUSSIAN = 2.0


class PageTooLarge(InputError):
    """The scene does not fit the page's limit.

    Attributes:
        keep: share of the Gaussians that would.
    """

    def __init__(self, message: str, keep: float) -> None:
        super().__init__(message)
        self.keep = keep


def write_page(
    scene: DynamicScene,
    path: str | Path,
    *,
    cameras: Cameras | None = None,
    grid: VideoGrid | None = None,
    options: PageOptions = PAGE_DEFAULTS,
    progress: Progress = silent,
) -> int:
    """Write the page, atomically.

    Args:
        cameras: the input cameras (one per view), for the first look and the frusta; left
            out, those of the scene.
        grid: frames to show in the frusta.

    Returns:
        The size of the file in bytes.

    Raises:
        PageTooLarge: the page would be larger than `options.max_mb`; says the size and how far to thin.
        InputError: cameras and grid do not fit.
    """
    require_writable(Path(path))
    cameras = rig_of(scene, grid, cameras)
    _refuse_hopeless(scene, options)
    html = _record(scene, cameras, grid, options, progress)
    size_mb = len(html) / 1e6
    if size_mb > options.max_mb:
        raise _too_large(scene, options, size_mb)
    with atomic_file(path) as partial:
        partial.write_bytes(html)
    return len(html)


def _record(
    scene: DynamicScene, cameras: Cameras | None, grid: VideoGrid | None, options: PageOptions, progress: Progress
) -> bytes:
    viewer_frame = ViewerFrame.of(scene, cameras, options.up)
    # Recordings can only be taken from a server; this one is on a free local port and has no visitors.
    server = start_server("127.0.0.1", 0)
    try:
        set_first_look(server, viewer_frame)
        if options.background is not None:
            server.scene.set_background_image(solid_color(options.background), format="png")
        seen_by = cameras if options.smooth else None
        splats = SplatLayer(
            server.scene, scene, viewer_frame, seen_by=seen_by, keep=options.keep, grid_step=CENTER_STEP
        )
        layers: list[SplatLayer | RigLayer] = [splats]
        if options.cameras and cameras is not None:
            layers.append(RigLayer(server.scene, cameras, viewer_frame, grid, thumbnail_px=options.thumbnail_px))
        recording = server.get_scene_serializer()
        moments = scene.seconds.tolist()
        # The last moment stays as long as the one before it.
        durations = np.diff(moments).tolist() or [0.0]
        durations.append(durations[-1])
        for index, seconds in enumerate(moments):
            for layer in layers:
                layer.show(seconds)
            recording.insert_sleep(durations[index] / options.speed)
            progress(index + 1, len(moments))
        html = recording.as_html()
    finally:
        stop_server(server)
    return html.replace(
        "<title>Viser</title>", f"<title>{_escaped(options.title or 'fourreal scene')}</title>", 1
    ).encode()


def _refuse_hopeless(scene: DynamicScene, options: PageOptions) -> None:
    """Refuse before minutes of compression when even the best case is too large."""
    embedded = options.keep * sum(len(scene.at(seconds)) for seconds in scene.seconds.tolist())
    least_mb = CLIENT_MB + embedded * LEAST_BYTES_PER_GAUSSIAN / 1e6
    if least_mb > options.max_mb:
        raise _too_large(scene, options, least_mb, at_least=True)


def _too_large(scene: DynamicScene, options: PageOptions, size_mb: float, *, at_least: bool = False) -> PageTooLarge:
    counts = [len(scene.at(seconds)) for seconds in scene.seconds.tolist()]
    # A little less than in proportion: the most visible Gaussians are not those that compress best.
    keep = options.keep * 0.93 * (options.max_mb - CLIENT_MB) / (size_mb - CLIENT_MB)
    advice = (
        f"keep {math.floor(keep * 1000) / 1000:g} of the Gaussians or raise max_mb" if keep > 0.001 else "raise max_mb"
    )
    size = f"{'at least ' if at_least else ''}{size_mb:.1f} MB"
    message = (
        f"the page would be {size} ({len(counts)} times x up to {max(counts)} Gaussians), more than the limit of "
        f"{options.max_mb:g} MB; {advice}"
    )
    return PageTooLarge(message, max(keep, 0.0))


def _escaped(text: str) -> str:
    import html

    return html.escape(text)
