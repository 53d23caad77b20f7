"""The view-time video generator: known cells of a `VideoGrid` in, the complete grid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.video.generate import generate as generate
    from fourreal.video.generator import ViewTimeGenerator as ViewTimeGenerator
    from fourreal.video.plan import plan_generation as plan_generation
    from fourreal.video.settings import GenerationSettings as GenerationSettings
    from fourreal.video.settings import preset as preset
    from fourreal.video.single_video import generate_video as generate_video
    from fourreal.video.text_to_grid import text_to_grid as text_to_grid
    from fourreal.video.windows import WindowSize as WindowSize

install_lazy_names(
    __name__,
    {
        "GenerationSettings": "fourreal.video.settings",
        "ViewTimeGenerator": "fourreal.video.generator",
        "WindowSize": "fourreal.video.windows",
        "generate": "fourreal.video.generate",
        "generate_video": "fourreal.video.single_video",
        "plan_generation": "fourreal.video.plan",
        "preset": "fourreal.video.settings",
        "text_to_grid": "fourreal.video.text_to_grid",
    },
)
