"""Starting, aiming and stopping viser's server, which the live viewer serves from and pages are recorded with."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from fourreal.core.errors import InputError
from fourreal.view.viewer_frame import FRAME_DISTANCE, ViewerFrame

if TYPE_CHECKING:
    import viser


PORTS_TRIED = 64


def start_server(host: str, port: int) -> viser.ViserServer:
    """A server without anything in its scene; the next free port is taken when `port` is in use, any for 0.

    Raises:
        InputError: this machine cannot listen on `host`, or none of the next ports is free.
    """
    import viser

    with _quiet_console():
        server = viser.ViserServer(host=host, port=_free_port(host, port), label="fourreal", verbose=False)
    server.scene.world_axes.visible = False
    return server


def stop_server(server: viser.ViserServer) -> None:
    with _quiet_console():
        server.stop()


def set_first_look(server: viser.ViserServer, viewer_frame: ViewerFrame) -> None:
    """Set the viewer's camera and up direction from the viewer frame."""
    up = viewer_frame.up.numpy()
    server.scene.set_up_direction(up)
    camera = server.initial_camera
    camera.position, camera.look_at, camera.up = viewer_frame.eye.numpy(), np.zeros(3), up
    camera.fov = math.radians(viewer_frame.fov_y_deg)
    camera.near, camera.far = FRAME_DISTANCE / 1000, FRAME_DISTANCE * 1000


def solid_color(rgb: tuple[float, float, float]) -> UInt8[np.ndarray, "4 4 3"]:
    """A small picture of one colour (sRGB in [0, 1]): viser takes backgrounds as images."""
    if len(rgb) != 3 or not all(0 <= channel <= 1 for channel in rgb):
        raise InputError(f"a background colour has three values from 0 to 1; got {rgb}")
    return np.full((4, 4, 3), np.round(np.asarray(rgb) * 255), dtype=np.uint8)


def _free_port(host: str, port: int) -> int:
    """The first port that can be listened on. viser searches too, but waits for ever when there is none."""
    problem = ""
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return candidate
        except socket.gaierror as error:
            raise InputError(f"cannot listen on host '{host}' ({error.strerror}); use 127.0.0.1 or 0.0.0.0") from error
        except OSError as error:
            problem = error.strerror or str(error)
    raise InputError(f"cannot listen on {host}, port {port} or the next ones ({problem}); choose another")


@contextlib.contextmanager
def _quiet_console() -> Iterator[None]:
    """viser announces its start and its end on the global console whatever `verbose` says."""
    import rich

    console = rich.get_console()
    was_quiet, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = was_quiet
