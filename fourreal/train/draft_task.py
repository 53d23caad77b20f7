"""The draft as a task: matching learnt from exact flow, then what is made of the matches.

Grids come from shards written with `fourreal synth --shards --flow`, or are rendered as they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourreal.data.mixture import GridMixture
from fourreal.data.sample import Cell, GridSample
from fourreal.data.shards import ShardMixture
from fourreal.data.training_grid import Mixture, TrainingGrid, stream
from fourreal.data.worlds import HELD_OUT_SEEDS, make_world, render_world
from fourreal.eval.image_metrics import moving_mask, psnr
from fourreal.train.draft_losses import composing_losses, distance_of, matching_losses
from fourreal.train.flow_truth import (
    CellBatch,
    FlowTruth,
    cell_batch,
    disturbed,
    drawn_pairs,
    flow_truth,
    joined,
    joined_cells,
    mirrored,
    recoloured,
)
from fourreal.train.recipe import DraftRecipe
from fourreal.train.task import Losses, SheetWriter
from fourreal.video.draft.draft_model import DraftModel, draft_cells
from fourreal.video.draft.draft_weights import load_draft, save_draft

SHOWN_SEEDS = range(HELD_OUT_SEEDS + 10_000, HELD_OUT_SEEDS + 10_008)
"""Worlds that no training sees and no table is measured on."""
SHOWN_ARC_DEG = (5.0, 35.0)
SHEETS = 2


class DraftTask:
    """Trains a `DraftModel`.

    Raises:
        InputError: the model to start from cannot be read.
    """

    def __init__(self, recipe: DraftRecipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.model = new_draft(recipe).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    # ---- what the loop asks --------------------------------------------------------------------

    def blocks(self) -> list[nn.Module]:
        return []

    def trainable(self, stage: int) -> dict[str, nn.Parameter]:
        part = {"matching": "matcher.", "choice": "composer."}[self.recipe.stages[stage].learns]
        return {name: p for name, p in self.model.named_parameters() if name.startswith(part)}

    def stored(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters())

    def mixture(self, stage: int) -> Mixture:
        config = replace(self.recipe.stages[stage].mixture, seed=self.recipe.loop.seed * 100 + stage)
        return ShardMixture(Path(self.recipe.shards), config) if self.recipe.shards else GridMixture(config)

    def losses(self, samples: Sequence[TrainingGrid], stage: int, step: int, indices: Sequence[int]) -> Losses:
        rngs = [stream(self.recipe.loop.seed * 100 + stage, step, index, "cells") for index in indices]
        if self.recipe.stages[stage].learns == "matching":
            first, second, truth = self._pairs(samples, rngs)
            return matching_losses(self.model.matcher(first, second), truth)
        batch = self._cells(samples, rngs)
        with torch.no_grad():
            references = self.model.matched(batch.frames, batch.own, batch.row, batch.corner)
        return composing_losses(self.model.composer(references), batch.true, batch.changed, *batch.flows)

    @torch.no_grad()
    def show(self, stage: int, folder: Path | None, write_sheet: SheetWriter | None) -> Mapping[str, float]:
        """Mean distance, in pixels where the pixel is seen, between where the matches and the truth point; once there
        is something to choose also the decibels of drafts from the first row and column."""
        worlds = self._held_out
        found = self._errors(worlds)
        if self.recipe.stages[stage].learns == "choice":
            found |= self._decibels(worlds, folder, write_sheet)
        return {name: float(torch.cat(values).nanmean()) for name, values in found.items()}

    def _decibels(
        self, worlds: Sequence[GridSample], folder: Path | None, write_sheet: SheetWriter | None
    ) -> dict[str, list[Tensor]]:
        found: dict[str, list[Tensor]] = {"psnr": [], "psnr_moving": []}
        for number, sample in enumerate(worlds):
            truth = sample.grid.to("cpu")
            given = truth.with_known("cross")
            with self._arithmetic():
                frames, drafted = draft_cells(self.model, given)
            pair = frames[drafted], truth.frames[drafted]
            found["psnr"].append(psnr(*pair))
            found["psnr_moving"].append(psnr(*pair, moving_mask(truth.frames)[drafted]))
            if folder is not None and write_sheet is not None and number < SHEETS:
                write_sheet(folder / f"world-{number}-made.png", replace(truth, frames=frames))
                write_sheet(folder / f"world-{number}-true.png", truth)
        return found

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.loop.precision == "bfloat16")

    def _errors(self, worlds: Sequence[GridSample]) -> dict[str, list[Tensor]]:
        found: dict[str, list[Tensor]] = {}
        for sample in worlds:
            corner = sample.grid.frames[:1, 0]
            column: list[Cell] = [(view, 0) for view in range(1, sample.grid.num_views)]
            row: list[Cell] = [(0, time) for time in range(1, sample.grid.num_times)]
            for name, cells in (("view", column), ("time", row)):
                frames = torch.stack([sample.grid.frames[cell] for cell in cells])
                with self._arithmetic():
                    matches = self.model.matcher(frames, corner.expand_as(frames))
                there: list[tuple[Cell, Cell]] = [(cell, (0, 0)) for cell in cells]
                truth = flow_truth(sample, [*there, *((b, a) for a, b in there)])
                distance = distance_of(matches.flow, truth)
                for part, counts in (("all", True), ("solid", truth.solid), ("moving", truth.moving)):
                    found.setdefault(f"error_{name}_{part}", []).append(distance[truth.visible & counts])
                right = (matches.visible > 0) == truth.visible
                found.setdefault(f"visible_{name}_right", []).append(right.float().flatten())
        return found

    def export(self, stage: int, out: Path, steps: int, weights: Mapping[str, Tensor]) -> None:
        """A folder that `load_draft` reads."""
        model = DraftModel(**self.model.config)
        model.load_state_dict(weights)
        save_draft(out / "model", model, overwrite=True)

    # ---- a batch -------------------------------------------------------------------------------

    def _pairs(
        self, samples: Sequence[TrainingGrid], rngs: Sequence[np.random.Generator]
    ) -> tuple[Float[Tensor, "N 3 H W"], Float[Tensor, "N 3 H W"], FlowTruth]:
        """Frames of pairs, and the truth of all from first to second before all from second to first."""
        first, second, there, back = [], [], [], []
        for sample, rng in zip(samples, rngs, strict=True):
            grid = sample.grid
            pairs = drawn_pairs(grid.num_views, grid.num_times, self.recipe.pairs, rng)
            exact = sample.with_geometry()
            frames = torch.stack([grid.frames[a] for a, _ in pairs] + [grid.frames[b] for _, b in pairs])
            frames = disturbed(recoloured(frames, rng, self.recipe.recolouring), rng, self.recipe.recolouring)
            truth = [flow_truth(exact, pairs), flow_truth(exact, [(b, a) for a, b in pairs])]
            if rng.random() < 0.5:
                frames, truth = frames.flip(-1), [mirrored(each) for each in truth]
            first.append(frames[: len(pairs)])
            second.append(frames[len(pairs) :])
            there.append(truth[0])
            back.append(truth[1])
        return torch.cat(first), torch.cat(second), joined([*there, *back])

    def _cells(self, samples: Sequence[TrainingGrid], rngs: Sequence[np.random.Generator]) -> CellBatch:
        """Unknown cells of some columns and all views but the first; what is given is the first view and, in half of
        the grids each, the first or the last time."""
        parts = []
        for sample, rng in zip(samples, rngs, strict=True):
            parts.append(cell_batch(sample.with_geometry(), self.recipe.columns, rng, self.recipe.recolouring))
        return joined_cells(parts)

    @cached_property
    def _held_out(self) -> list[GridSample]:
        config = replace(self.recipe.stages[-1].mixture.worlds, arc_deg=SHOWN_ARC_DEG, photo_textures=False)
        return [render_world(make_world(config, seed)) for seed in SHOWN_SEEDS]


def new_draft(recipe: DraftRecipe) -> DraftModel:
    """The model a recipe starts from: that of a folder, or one with random weights by the recipe's seed."""
    if recipe.base:
        return load_draft(recipe.base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.loop.seed)
        return DraftModel(**recipe.model)
