"""The live viewer: a scene, its cameras and its grid in a browser, moment by moment.

Listens on this machine only by default. Coordinates are those of a `ViewerFrame`; click a
camera to look through it.
"""

from __future__ import annotations

import threading
import webbrowser
from typing import TYPE_CHECKING

import numpy as np
import torch

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import DynamicScene
from fourreal.core.grid import VideoGrid
from fourreal.core.rotations import quat_to_matrix
from fourreal.view.layers import GridWall, RigLayer, SplatLayer, rig_of
from fourreal.view.panels import GridPanel, TimePanel
from fourreal.view.settings import UP_AXES, VIEWER_DEFAULTS, UpAxis, ViewerOptions
from fourreal.view.viewer_frame import ViewerFrame, axis_direction, fov_y_deg
from fourreal.view.viser_server import set_first_look, solid_color, start_server, stop_server

if TYPE_CHECKING:
    import viser


def serve(
    *,
    scene: DynamicScene | None = None,
    grid: VideoGrid | None = None,
    cameras: Cameras | None = None,
    options: ViewerOptions = VIEWER_DEFAULTS,
) -> Viewer:
    """Start a viewer of a scene, of a grid, or of a scene with the grid it was made from.

    Returns at once; call `wait()` on the result to serve until interrupted, `stop()` to end.

    Raises:
        InputError: neither is given, cameras and grid do not fit, or host and port cannot be listened on.
    """
    if scene is None and grid is None:
        raise InputError("a viewer needs a scene, a grid or both; got neither")
    rig = rig_of(scene, grid, cameras)
    solid_color(options.background)
    viewer = Viewer(scene, grid, rig, options)
    if options.open:
        webbrowser.open(viewer.url)
    return viewer


class Viewer:
    """A running viewer; made by `serve`.

    Attributes:
        server: the viser server, for adding things of one's own.
        time: the time panel; `viewer.time.slider.value = 3` shows step 3 everywhere.
        grid_panel: the grid's frames, when there is a grid.
        viewer_frame: transform from the scene's world to the viewer's.
        layers: everything that follows the time.
        rig_layer: the frusta, when cameras are known.
        notes: sentences for the user, e.g. that not all Gaussians are drawn.
    """

    def __init__(
        self, scene: DynamicScene | None, grid: VideoGrid | None, rig: Cameras | None, options: ViewerOptions
    ) -> None:
        self.server = start_server(options.host, options.port)
        self._done = threading.Event()
        self.viewer_frame = ViewerFrame.of(scene, rig, options.up)
        self._natural_up = ViewerFrame.of(scene, rig).up
        self.notes: tuple[str, ...] = ()
        self.layers: list[SplatLayer | RigLayer | GridWall | GridPanel] = []
        self.rig_layer: RigLayer | None = None
        self.grid_panel: GridPanel | None = None

        try:
            self._build(scene, grid, rig, options)
        except BaseException:
            stop_server(self.server)
            raise

    def _build(
        self, scene: DynamicScene | None, grid: VideoGrid | None, rig: Cameras | None, options: ViewerOptions
    ) -> None:
        self.server.gui.main_panel.dock_right()
        self.server.gui.configure_theme(control_width="large", show_share_button=False, show_logo=False)
        set_first_look(self.server, self.viewer_frame)
        if scene is not None:
            self.layers.append(self._splats(scene, rig if options.smooth else None, options.max_gaussians))
        if rig is not None:
            self.rig_layer = RigLayer(
                self.server.scene, rig, self.viewer_frame, grid, thumbnail_px=options.thumbnail_px
            )
            self.layers.append(self.rig_layer)
        elif scene is None and grid is not None:
            self.layers.append(GridWall(self.server.scene, grid, self.viewer_frame))
        source = scene if scene is not None else grid
        assert source is not None
        self.time = TimePanel(self.server.gui, source.seconds.tolist(), options.speed, self._show)
        if grid is not None:
            self.grid_panel = GridPanel(self.server.gui, grid)
            self.layers.append(self.grid_panel)
        self._add_look_panel(options)
        for note in self.notes:
            self.server.gui.add_markdown(f"*{note}*")

    # ---- for callers -------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self.server.get_port()

    @property
    def url(self) -> str:
        host = self.server.get_host()
        return f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{self.port}"

    @property
    def step(self) -> int:
        """Index of the moment shown."""
        return self.time.slider.value

    def show_step(self, index: int) -> None:
        """Show a moment to all visitors. Raises InputError when there is no such step."""
        last = self.time.slider.max
        if not 0 <= index <= last:
            raise InputError(f"step {index} was asked for; there are steps 0 to {last}")
        self.time.slider.value = index

    def look_through(self, client: viser.ClientHandle, view: int) -> None:
        """Move one visitor's camera to an input camera, and hide the frusta."""
        assert self.rig_layer is not None
        camera = self.rig_layer.cameras_at(self.time.seconds)[view]
        quat, position = (values[0] for values in self.viewer_frame.poses(camera.reshape(1)))
        rotation = quat_to_matrix(torch.from_numpy(quat)).numpy()
        self._show_cameras.value = False
        with client.atomic():
            client.camera.position = position
            client.camera.up_direction = -rotation[:, 1]
            client.camera.look_at = position + rotation[:, 2] * np.linalg.norm(position)
            client.camera.fov = np.deg2rad(fov_y_deg(camera))

    def wait(self) -> None:
        """Serve until `stop()` or Ctrl-C."""
        try:
            while not self._done.wait(1.0):
                pass
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """End the viewer and free its port; a second call does nothing."""
        if self._done.is_set():
            return
        self._done.set()
        self.time.stop()
        stop_server(self.server)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- building ----------------------------------------------------------------------------

    def _show(self, index: int) -> None:
        seconds = self.time.seconds
        with self.server.atomic():
            for layer in self.layers:
                layer.show(seconds)

    def _splats(self, scene: DynamicScene, seen_by: Cameras | None, at_most: int) -> SplatLayer:
        largest = max(len(scene.at(seconds)) for seconds in scene.seconds.tolist())
        keep = min(1.0, at_most / max(largest, 1))
        if keep < 1:
            drawn = f"{at_most:,} of up to {largest:,} Gaussians are drawn, the most visible ones"
            self.notes = (*self.notes, f"{drawn}; raise max_gaussians for more")
        return SplatLayer(self.server.scene, scene, self.viewer_frame, seen_by=seen_by, keep=keep)

    def _add_look_panel(self, options: ViewerOptions) -> None:
        gui, scene = self.server.gui, self.server.scene
        with gui.add_folder("Look"):
            self._show_cameras = gui.add_checkbox("Show cameras", True, visible=self.rig_layer is not None)
            self.background = gui.add_rgb("Background", tuple(solid_color(options.background)[0, 0].tolist()))
            self.up_axis = gui.add_dropdown("Up", UP_AXES, initial_value=options.up)
        scene.set_background_image(solid_color(options.background), format="png")
        self.background.on_update(
            lambda _: scene.set_background_image(np.full((4, 4, 3), self.background.value, np.uint8), format="png")
        )
        self.up_axis.on_update(lambda _: self._set_up(self.up_axis.value))
        if self.rig_layer is None:
            return
        frusta = self.rig_layer.frusta
        self._show_cameras.on_update(lambda _: self.rig_layer and self.rig_layer.set_visible(self._show_cameras.value))
        for view, frustum in enumerate(frusta):
            frustum.on_click(lambda event, view=view: self.look_through(event.client, view))
        choose = gui.add_button("Look through the view above" if self.grid_panel else "Look through the first camera")

        @choose.on_click
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self.look_through(event.client, self.grid_panel.view.value if self.grid_panel else 0)

    def _set_up(self, axis: UpAxis) -> None:
        up = (self._natural_up if axis == "automatic" else axis_direction(axis)).numpy()
        self.server.scene.set_up_direction(up)
        for client in self.server.get_clients().values():
            client.camera.up_direction = up
