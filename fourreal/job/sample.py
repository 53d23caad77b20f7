"""The pair of clips that comes with the package: one procedural world, seen by a fixed camera and round one moment.

Made by `python -m fourreal.job.sample fourreal/samples`; `sample.json` describes the world, so that the whole
grid can be rendered again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from fourreal.core.configs import load_config, save_config
from fourreal.core.media import write_video
from fourreal.data.sample import GridSample
from fourreal.data.worlds import WorldConfig, make_world, render_world
from fourreal.job.request import SAMPLE_CLIPS, SAMPLES

CARD = "sample.json"


@dataclass(frozen=True)
class SampleCard:
    """Which world the clips show."""

    seed: int
    worlds: WorldConfig
    caption: str = ""
    licence: str = "CC0-1.0"


SAMPLE = SampleCard(
    seed=900_011,
    worlds=WorldConfig(
        views=13,
        frames=13,
        height=128,
        width=128,
        fps=8.0,
        background="walls",
        rig="arc",
        arc_deg=(20.0, 20.0),
        texture_loudness=0.6,
        max_groups=2,
    ),
)


def render_truth(card: SampleCard | None = None) -> GridSample:
    """The whole grid that the two clips are the first row and the first column of, with exact cameras and depth."""
    card = card or load_config(SAMPLES / CARD, SampleCard)
    return render_world(make_world(card.worlds, card.seed))


def write_sample(folder: Path, card: SampleCard = SAMPLE) -> None:
    """Render the pair. The same card is the same world; its encoding may differ with the version of FFmpeg."""
    truth = render_truth(card)
    fps = card.worlds.fps
    write_video(folder / SAMPLE_CLIPS["fixed"].name, truth.grid.frames[0], fps)
    write_video(folder / SAMPLE_CLIPS["freeze"].name, truth.grid.frames[:, 0], fps)
    save_config(folder / CARD, SampleCard(card.seed, card.worlds, truth.caption, card.licence))


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]))
