"""`fourreal app`: the web app."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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

    port: int = 7860
    """Port to listen on; the next free one is taken when it is in use."""
    out: Path | None = None
    """Keep a copy of every finished run in this folder."""
    model: tuple[str, ...] = ("mini",)
    """Models the page offers, as `fourreal run --model` takes them; the first is the usual one."""
    recon: str = "mini"
    """mini (the package's own), vggt-1b (from the Hugging Face cache), or a folder."""
    device: str = "auto"
    """auto, cpu or cuda."""
    max_upload_mb: int = 200
    """Largest clip the page takes."""
    host: str = "127.0.0.1"
    """127.0.0.1 is seen from this machine only; another lets others in, without a password."""
    open: bool = True
    """Open the browser at once."""

    def run(self) -> None:
        from fourreal.app.server import ServerOptions, serve
        from fourreal.app.service import Offer
        from fourreal.core.devices import resolve_device
        from fourreal.recon.weights import find_weights
        from fourreal.video.model_folder import find_model_folder

        # What is missing is said to whoever starts the server, not to whoever visits it.
        resolve_device(self.device)
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise InputError(f"{self.out} is a file; --out expects a folder to keep finished runs in")
        for name in self.model:
            find_model_folder(name)
        find_weights(self.recon)
        offer = Offer(self.model, self.recon, self.device, self.max_upload_mb, self.out)
        serve(offer, ServerOptions(self.port, self.host, self.open))
