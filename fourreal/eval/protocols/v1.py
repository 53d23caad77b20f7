"""4Real-Video, Tables 1 and 2: generated grids against the distribution of videos, and how well their views match.

The 200 pairs of the paper are not published. Fixed here: folders 000 to 199 with `fixed`, `freeze` and `prompt.txt`,
16 views x 16 frames of 288 x 512, 2 seconds; real videos, where FVD and FID are wanted, in DATA/real.

Source: 4Real-Video, section 4.2.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import VideoGrid
from fourreal.core.grid_shape import GridShape
from fourreal.core.media import read_clip
from fourreal.eval.cross_view import confidence_shares, matching_confidences
from fourreal.eval.feature_cache import video_features
from fourreal.eval.grid_scans import given_videos
from fourreal.eval.pair_metrics import clip_score
from fourreal.eval.protocols import paper_numbers
from fourreal.eval.protocols.feature_networks import image_network, video_network
from fourreal.eval.protocols.prompted_pairs import generated_columns, generated_rows, pair_protocol, percent
from fourreal.eval.protocols.protocol import WHOLE, Extent, Models, Protocol, SceneScore
from fourreal.eval.scores import Metric
from fourreal.perception.clip_features import ClipFeatures
from fourreal.perception.feature_network import ImageFeatures
from fourreal.perception.needed_weights import MissingWeights

PAIRS, PAIR_SIZE = 200, GridShape.of(16, 16, (288, 512))
MATCHING, CONFIDENCE = (0.1, 0.5, 0.7), (2.0, 2.5, 3.0)
VIDEO_SCORES = ("visual quality", "temporal consistency", "factual consistency")
REAL = "real"


def v1_table_1(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """FID, CLIP score, FVD against real videos and against the given videos, over time and over view.

    Rows and columns that were given are not measured. VideoScore's three numbers are computed by its
    authors' own model only.

    Source: 4Real-Video, section 4.2, Table 1.
    """
    distributions = _Distributions(extent, Path(data) / REAL)
    protocol = pair_protocol(
        "v1-table-1",
        data,
        models,
        extent,
        count=PAIRS,
        shape=PAIR_SIZE,
        metrics=(
            Metric("FID", "lower", pooled=True),
            Metric("CLIP score", "higher"),
            *(Metric(f"{name}, {axis}", "lower", pooled=True) for name in ("FVD", "FVD-Test") for axis in _AXES),
            *(Metric(f"{name}, {axis}", "higher") for name in VIDEO_SCORES for axis in _AXES),
        ),
        measure=distributions.measure,
    )
    return replace(
        protocol,
        title="4Real-Video, Table 1: generated grids against the distribution of videos",
        absent=distributions.absent,
        references=distributions.references,
        paper=(paper_numbers.V1_TABLE_1,),
    )


_AXES: dict[str, Literal["rows", "columns"]] = {"time": "rows", "view": "columns"}


class _Distributions:
    """Networks, features of real videos, and the figures of a grid by them."""

    def __init__(self, extent: Extent, real: Path) -> None:
        self.cache = extent.cache
        self.absent = {
            f"{name}, {axis}": "computed by VideoScore's own model only" for name in VIDEO_SCORES for axis in _AXES
        }
        self.references: dict[str, Tensor] = {}
        self.videos = self._usable(video_network(extent.video_features), ("FVD", "FVD-Test"))
        self.images: ImageFeatures | None = self._usable(image_network(extent.video_features), ("FID",))
        try:
            self.clip: ClipFeatures | None = ClipFeatures()
        except MissingWeights as missing:
            self.clip, self.absent["CLIP score"] = None, str(missing)
        self._read_real(real, extent.of(PAIR_SIZE))

    def _usable(self, network, names: tuple[str, ...]):
        if isinstance(network, MissingWeights):
            for name in names:
                self.absent |= dict.fromkeys((name, *(f"{name}, {axis}" for axis in _AXES)), str(network))
            return None
        return network

    def _read_real(self, folder: Path, size: GridShape) -> None:
        files = sorted(path for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []
        if not files:
            reason = f"there are no real videos in {folder}"
            self.absent |= {name: reason for name in ("FID", "FVD, time", "FVD, view") if name not in self.absent}
            return
        clips = [read_clip(file, count=size.frames, size=size.image_size).frames for file in files]
        if self.videos is not None:
            features = video_features(clips, self.videos, self.cache)
            self.references |= {"FVD, time": features, "FVD, view": features}
        if self.images is not None:
            self.references["FID"] = torch.cat([self.images(clip) for clip in clips])

    def measure(self, generated: VideoGrid, given: VideoGrid, prompt: str) -> SceneScore:
        cells: dict[str, Tensor] = {}
        features: dict[str, Tensor] = {}
        references: dict[str, Tensor] = {}
        new_frames = generated.frames[~given.known]
        if self.clip is not None and prompt:
            cells["CLIP score"] = clip_score(self.clip, new_frames, prompt)
        if self.videos is not None:
            new = {"time": generated_rows(generated, given), "view": generated_columns(generated, given)}
            for axis, scan in _AXES.items():
                found = video_features(new[axis], self.videos, self.cache)
                features[f"FVD-Test, {axis}"] = found
                references[f"FVD-Test, {axis}"] = video_features(
                    given_videos(given, given.known, scan), self.videos, self.cache
                )
                if f"FVD, {axis}" in self.references:
                    features[f"FVD, {axis}"] = found
        if self.images is not None and "FID" in self.references:
            features["FID"] = self.images(new_frames)
        return SceneScore(cells=cells, features=features, references=references)


def v1_table_2(data: str | os.PathLike[str], models: Models, extent: Extent = WHOLE) -> Protocol:
    """Shares of pixels that match between neighbouring views, and of which a reconstruction is confident.

    The paper uses GIM and Dust3R; here the user's matcher (in Python, `Models.matcher`) and the confidence of the
    reconstruction model that is given. Freeze-time videos that were given are left out.

    Source: 4Real-Video, section 4.2, Table 2.

    Raises:
        InputError: neither is given.
    """
    confidence = None if models.reconstructor is None else models.reconstructor.confidence
    matcher = models.matcher
    if confidence is None and matcher is None:
        raise InputError("v1-table-2 needs a reconstruction model or a matcher; give --recon")
    matching = [f"matching confidence > {threshold:g}" for threshold in MATCHING]
    sure = [f"3-D confidence > {threshold:g}" for threshold in CONFIDENCE]
    absent: dict[str, str] = {}
    if matcher is None:
        absent |= dict.fromkeys(matching, "needs a matching network, given as Models.matcher in Python")
    if confidence is None:
        absent |= dict.fromkeys(sure, "needs a reconstruction model; none was given")

    def measure(generated: VideoGrid, given: VideoGrid, prompt: str) -> SceneScore:
        cells: dict[str, Tensor] = {}
        if matcher is not None:
            times = torch.nonzero(~given.known.all(0)).flatten().tolist()
            shares = confidence_shares(matching_confidences(generated.select(times=times), matcher), MATCHING)
            cells |= {name: percent([shares[t]]) for name, t in zip(matching, MATCHING, strict=True)}
        if confidence is not None:
            maps = [view for column in generated_columns(generated, given) for view in confidence(column)]
            shares = confidence_shares(maps, CONFIDENCE)
            cells |= {name: percent([shares[t]]) for name, t in zip(sure, CONFIDENCE, strict=True)}
        return SceneScore(cells=cells)

    protocol = pair_protocol(
        "v1-table-2",
        data,
        models,
        extent,
        count=PAIRS,
        shape=PAIR_SIZE,
        metrics=tuple(Metric(name, "higher", "%") for name in (*matching, *sure)),
        measure=measure,
    )
    title = "4Real-Video, Table 2: agreement between the views of generated grids"
    return replace(protocol, title=title, absent=absent, paper=(paper_numbers.V1_TABLE_2,))
