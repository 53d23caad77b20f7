"""`fourreal app`: the web app."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import OmitArgPrefixes

from fourreal.app.settings import AppSettings
from fourreal.cli.termination import terminated_as_interrupted
from fourreal.core.errors import InputError


@dataclass(frozen=True)
class App:
    """Open a page on which clips become a scene to fly through; no commands needed.

    Drop a fixed-view video, a freeze-time video or both, watch the stages, look at the grid and the
    scene, download the files. Everything is removed when the page is closed, unless --out keeps it.
    Ctrl-C ends it.

    Examples:
        fourreal app
        fourreal app --out kept --max-upload-mb 500
        fourreal app --model mini runs/mine/model
    """

    settings: OmitArgPrefixes[AppSettings]
    """How the web app is started."""

    def run(self) -> None:
        from fourreal.app.server import serve
        from fourreal.core.devices import resolve_device
        from fourreal.recon.weights import find_weights
        from fourreal.video.model_folder import find_model_folder

        # What is missing is an error for whoever starts the server, not for whoever visits it.
        resolve_device(self.settings.device)
        out = self.settings.out
        if out is not None and out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file; --out expects a folder to keep finished runs in")
        for name in self.settings.model:
            find_model_folder(name)
        find_weights(self.settings.recon)
        with terminated_as_interrupted():
            serve(self.settings)
