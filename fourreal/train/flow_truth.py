"""Cells of a grid with the exact flow between them, changed as footage differs from renderings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourreal.data.sample import Cell, GridSample
from fourreal.eval.image_metrics import MOVING_THRESHOLD

MOVES = 1e-3
"""Change of a pose's values from which on its instance counts as moving."""


@dataclass(frozen=True)
class FlowTruth:
    """Where the pixels of M cells are in M others.

    Attributes:
        flow: in pixels; a point far outside the other frame has one too.
        visible: the point is seen in the other frame.
        moving: the pixel belongs to something that moves at any time of its grid.
        solid: the pixel shows a surface, not sky or a white background, whose flow no picture tells.
    """

    flow: Float[Tensor, "M 2 H W"]
    visible: Bool[Tensor, "M 1 H W"]
    moving: Bool[Tensor, "M 1 H W"]
    solid: Bool[Tensor, "M 1 H W"]


def flow_truth(sample: GridSample, pairs: Sequence[tuple[Cell, Cell]]) -> FlowTruth:
    """The exact flow of every pair, from its first cell to its second."""
    with torch.autocast(sample.depth.device.type, enabled=False):  # geometry does not bear a network's number format
        found = [sample.flow(here, there) for here, there in pairs]
    motion = sample.instance_motion
    moves = (motion - motion[:1]).abs().amax((0, 2, 3)) > MOVES
    ids = torch.stack([sample.instance_ids[here] for here, _ in pairs]).long()
    return FlowTruth(
        torch.stack([each.flow for each in found]).movedim(-1, 1),
        torch.stack([each.visible for each in found])[:, None],
        moves[ids][:, None],
        torch.stack([sample.depth[here].isfinite() for here, _ in pairs])[:, None],
    )


def joined(parts: Sequence[FlowTruth]) -> FlowTruth:
    return FlowTruth(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(FlowTruth)))


def drawn_pairs(views: int, times: int, count: int, rng: np.random.Generator) -> list[tuple[Cell, Cell]]:
    """`count` pairs of cells in turn across two views at one time and across two times of one view."""
    pairs: list[tuple[Cell, Cell]] = []
    for number in range(count):
        across_views = times == 1 or (number % 2 == 0 and views > 1)
        if across_views:
            one, other = rng.choice(views, 2, replace=False).tolist()
            time = int(rng.integers(times))
            pairs.append(((one, time), (other, time)))
        else:
            one, other = rng.choice(times, 2, replace=False).tolist()
            view = int(rng.integers(views))
            pairs.append(((view, one), (view, other)))
    return pairs


def recoloured(frames: Float[Tensor, "N 3 H W"], rng: np.random.Generator, strength: float) -> Float[Tensor, "N 3 H W"]:
    """Frames of one grid as another camera would have them: channels exchanged, gain and gamma for all frames alike.

    Args:
        strength: 0 changes nothing, 1 most.
    """
    order = rng.permutation(3) if rng.random() < strength else np.arange(3)
    gamma = np.exp(strength * rng.uniform(-0.4, 0.4))
    gain = np.exp(strength * (rng.uniform(-0.3, 0.2) + rng.uniform(-0.1, 0.1, 3)))
    scale = torch.from_numpy(gain.astype(np.float32))[:, None, None]
    return (frames[:, order.tolist()].clamp(min=0) ** gamma * scale).clamp(0, 1)


def disturbed(frames: Float[Tensor, "N 3 H W"], rng: np.random.Generator, strength: float) -> Float[Tensor, "N 3 H W"]:
    """Frames of one grid with noise, and a little gain for each by itself.

    Args:
        strength: 0 changes nothing, 1 most.
    """
    gain = np.exp(strength * rng.uniform(-0.04, 0.04, (len(frames), 1, 1, 1))).astype(np.float32)
    noise = strength * rng.uniform(0, 0.02) * torch.from_numpy(rng.standard_normal(frames.shape, np.float32))
    return (frames * torch.from_numpy(gain) + noise).clamp(0, 1)


def mirrored(truth: FlowTruth) -> FlowTruth:
    """Left and right exchanged."""
    turned = torch.tensor([-1.0, 1.0])[:, None, None]
    masks = (truth.visible, truth.moving, truth.solid)
    return FlowTruth(truth.flow.flip(-1) * turned, *(mask.flip(-1) for mask in masks))


@dataclass(frozen=True, kw_only=True)
class CellBatch:
    """N unknown cells and what they are made of.

    Attributes:
        frames: known frames.
        own, row, corner: which of them belong to a cell; see `CellReferences`.
        true: the cells' frames.
        changed: where these differ from the own frames as `moving_mask` has it.
        flows: from the cells to their own frames, and to their rows' frames.
    """

    frames: Float[Tensor, "F 3 H W"]
    own: Int[Tensor, "N"]
    row: Int[Tensor, "N"]
    corner: Int[Tensor, "N"]
    true: Float[Tensor, "N 3 H W"]
    changed: Bool[Tensor, "N 1 H W"]
    flows: tuple[FlowTruth, FlowTruth]


def cell_batch(sample: GridSample, columns: int, rng: np.random.Generator, recolouring: float) -> CellBatch:
    """The cells of some columns of a grid, in all views but the first, when the first view and the first or the last
    time are given; in half of the grids left and right are exchanged.

    Args:
        recolouring: strength of `recoloured` and, for what is given, of `disturbed`.
    """
    grid = sample.grid
    views, times = grid.num_views, grid.num_times
    given = 0 if rng.random() < 0.5 else times - 1
    drawn = rng.permutation([time for time in range(times) if time != given])[:columns].tolist()
    known: list[Cell] = [(view, given) for view in range(views)] + [(0, time) for time in drawn]
    cells: list[Cell] = [(view, time) for view in range(1, views) for time in drawn]
    frames = recoloured(torch.stack([grid.frames[cell] for cell in [*known, *cells]]), rng, recolouring)
    flows = [
        flow_truth(sample, [(cell, (cell[0], given)) for cell in cells]),
        flow_truth(sample, [(cell, (0, cell[1])) for cell in cells]),
    ]
    if rng.random() < 0.5:
        frames, flows = frames.flip(-1), [mirrored(each) for each in flows]
    own = torch.tensor([view for view, _ in cells])
    true = frames[len(known) :]
    changed = (true - frames[own]).abs().mean(1, keepdim=True) > MOVING_THRESHOLD
    shown = disturbed(frames[: len(known)], rng, recolouring)
    row = torch.tensor([views + drawn.index(time) for _, time in cells])
    return CellBatch(
        frames=shown,
        own=own,
        row=row,
        corner=torch.zeros_like(own),
        true=true,
        changed=changed,
        flows=(flows[0], flows[1]),
    )


def joined_cells(parts: Sequence[CellBatch]) -> CellBatch:
    """The cells of several grids."""
    first = np.cumsum([0] + [len(part.frames) for part in parts]).tolist()

    def joint(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    def places(name: str) -> Tensor:
        return torch.cat([getattr(part, name) + start for part, start in zip(parts, first[:-1], strict=True)])

    own, row = (joined([part.flows[which] for part in parts]) for which in (0, 1))
    return CellBatch(
        frames=joint("frames"),
        own=places("own"),
        row=places("row"),
        corner=places("corner"),
        true=joint("true"),
        changed=joint("changed"),
        flows=(own, row),
    )
