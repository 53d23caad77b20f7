"""At which size frames that are larger than a small network's own are reconstructed: tried on the first moment.

A network of pixel-sized frames looks finer in more pixels than it was made for, or falls apart, depending on what it is
shown. Which of the two is measured: the first moment is reconstructed at each size, and the size is taken at which the
given views come back nearest to the eye (ST-LPIPS; PSNR prefers blur: on a kitchen of 448 pixels `mini` has 21.7 dB at
64 and 20.4 dB at 128 pixels, and ST-LPIPS of 0.37 and 0.20).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from fourreal.core.grid import VideoGrid
from fourreal.core.notes import collected_notes, notify
from fourreal.perception.st_lpips import load_st_lpips
from fourreal.recon.fidelity import judged_cells, render_inputs
from fourreal.recon.model import ReconModel
from fourreal.recon.reconstruct import SURE_FROM, reconstruct
from fourreal.recon.settings import ReconstructSettings

ENLARGEMENTS = (1, 2)
"""Sizes that are tried, as multiples of the one the network was made for."""
MOST_PIXELS = 1 << 23
"""Of all frames together, above which a larger size is not tried: minutes on two CPU cores."""


def with_frame_size(model: ReconModel, grid: VideoGrid, settings: ReconstructSettings) -> ReconstructSettings:
    """The settings with a size of frames, and a note on it where frames are scaled down.

    A size that is given stays, and so does the own size of networks made for large frames, which were trained at it.

    Raises:
        InputError: as `reconstruct`.
    """
    own, given = model.config.native_size, max(grid.image_size)
    if settings.longest_side or given <= own:
        return settings
    sides = [own]
    if own < SURE_FROM:
        share = grid.num_views * grid.num_times * min(grid.image_size) / given
        sides += [k * own for k in ENLARGEMENTS[1:] if k * own <= given and share * (k * own) ** 2 <= MOST_PIXELS]
    trials = {side: _trial(model, grid, replace(settings, longest_side=side)) for side in sides if len(sides) > 1}
    best = min(trials, key=lambda side: trials[side]) if trials else own
    tried = ", ".join(f"{distance:.2f} at {side}" for side, distance in trials.items())
    notify(
        f"the frames are reconstructed at {best} pixels of their {given} on the longer side"
        f"{f' (ST-LPIPS of the first moment: {tried})' if tried else ', the size the network was made for'}; "
        "--longest-side chooses another"
    )
    return replace(settings, longest_side=best)


def _trial(model: ReconModel, grid: VideoGrid, settings: ReconstructSettings) -> float:
    """ST-LPIPS between the first moment's given views and their renders; lower is nearer."""
    moment = grid.select(times=[0])
    with collected_notes([]):  # the whole reconstruction says what is to be said
        scene = reconstruct(model, moment, settings)
    inputs, rendering = render_inputs(scene, moment, judged_cells(moment)[0], 0)
    with torch.no_grad():
        return float(load_st_lpips()(inputs, rendering.color.clamp(0, 1)).mean())
