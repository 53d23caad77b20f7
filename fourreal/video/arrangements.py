"""In which order a view-time model runs its blocks, over which tokens: the architectures that the papers compare.

All share the base model's weights and interface. A grid of one view is a plain video, and every arrangement treats
it as the base model does.

Source: 4Real-Video-V2, section 3.1, Figure 3, Tables 2 and 4; 4Real-Video, sections 3.2 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from fourreal.video.cross_view import CrossViewLayer
from fourreal.video.positions import AttentionPattern, TokenPlan
from fourreal.video.sync import AverageSync, BlendSync, HardSync, SoftSync, Synchronisation, SyncLayer

Arrangement = Literal[
    "fused",
    "sequential_twice",
    "sequential_alternate",
    "sequential_added",
    "parallel_hard",
    "parallel_soft",
    "parallel_average",
    "parallel_blend",
]
"""fused: one softmax over view and time (V2, Eq. 1); no new parameters, self-attention trains.
sequential_twice: every block runs across views, then across times (V1, Eq. 5); self-attention trains.
sequential_alternate: blocks take turns, the first across times (V2, Table 4 "interleave existing layers").
sequential_added: a new cross-view layer before every block (V2, Table 4 "cross-view attn."); only the new train.
parallel_hard: two streams, merged after every block (V1, Eq. 8); only the sync layers train.
parallel_soft: two streams, nudged towards each other (V1, Eqs. 9-10); only the sync layers train.
parallel_average: as hard, but the plain mean, without training (V1, Eq. 12).
parallel_blend: as soft, but a fixed share by depth, without training (V1, Eq. 13).
"""

TRAINING_FREE: tuple[Arrangement, ...] = ("parallel_average", "parallel_blend")


@dataclass(frozen=True)
class BlockStack:
    """The layers to run.

    Attributes:
        run: calls a layer with its arguments, or a checkpointed version of that.
    """

    blocks: nn.ModuleList
    cross_view: nn.ModuleList | None
    synchronisation: Synchronisation | None
    run: Callable[..., Tensor]


@dataclass(frozen=True)
class BlockInputs:
    """What the layers need beside the tokens.

    Attributes:
        plans, text: by attention pattern; across views the text says freeze-time, across times dynamic.
        modulation: the six vectors of the diffusion time, one set for all tokens or one a token.
        time: embedding of the diffusion time.
    """

    plans: dict[AttentionPattern, TokenPlan]
    text: dict[AttentionPattern, Float[Tensor, "B M D"]]
    modulation: Float[Tensor, "B *L 6 D"]
    time: Float[Tensor, "B *L D"]


def new_cross_view_layers(
    arrangement: Arrangement, layers: int, dim: int, ffn_dim: int, num_heads: int, eps: float
) -> nn.ModuleList | None:
    """The cross-view layers an arrangement adds to the base model, if it does."""
    if arrangement != "sequential_added":
        return None
    return nn.ModuleList(CrossViewLayer(dim, ffn_dim, num_heads, eps) for _ in range(layers))


def new_synchronisation(arrangement: Arrangement, layers: int, dim: int) -> Synchronisation | None:
    """The sync layers an arrangement adds to the base model, if it does."""
    kinds: dict[str, Callable[[int], SyncLayer]] = {
        "parallel_hard": lambda layer: HardSync(dim),
        "parallel_soft": lambda layer: SoftSync(dim),
        "parallel_average": lambda layer: AverageSync(),
        "parallel_blend": lambda layer: BlendSync(layer, layers),
    }
    if arrangement not in kinds:
        return None
    return Synchronisation([kinds[arrangement](layer) for layer in range(layers)], dim)


def patterns_of(arrangement: Arrangement, views: int) -> tuple[AttentionPattern, ...]:
    """The attention patterns an arrangement uses on a grid of so many views."""
    return ("fused",) if arrangement == "fused" or views == 1 else ("across_views", "across_times")


def run_blocks(
    arrangement: Arrangement, stack: BlockStack, tokens: Float[Tensor, "B L D"], inputs: BlockInputs
) -> Float[Tensor, "B L D"]:
    """All blocks of the model, in the arrangement's way."""

    def run(block: nn.Module, tokens: Tensor, pattern: AttentionPattern) -> Tensor:
        return stack.run(block, tokens, inputs.text[pattern], inputs.modulation, inputs.plans[pattern])

    if "fused" in inputs.plans:
        for block in stack.blocks:
            tokens = run(block, tokens, "fused")
    elif arrangement == "sequential_twice":
        for block in stack.blocks:
            tokens = run(block, tokens, "across_views")
            tokens = run(block, tokens, "across_times")
    elif arrangement == "sequential_alternate":
        for layer, block in enumerate(stack.blocks):
            tokens = run(block, tokens, "across_views" if layer % 2 else "across_times")
    elif arrangement == "sequential_added":
        assert stack.cross_view is not None
        for cross_view, block in zip(stack.cross_view, stack.blocks, strict=True):
            tokens = stack.run(cross_view, tokens, inputs.modulation, inputs.plans["across_views"])
            tokens = run(block, tokens, "across_times")
    else:
        tokens = _run_parallel(stack, run, tokens, inputs.time)
    return tokens


def _run_parallel(
    stack: BlockStack, run: Callable[..., Tensor], tokens: Float[Tensor, "B L D"], time: Float[Tensor, "B *L D"]
) -> Float[Tensor, "B L D"]:
    """Two streams and a sync layer after every block; the result is their mean, which V1 leaves open.

    Source: 4Real-Video, Eq. 4 and Figure 2.
    """
    assert stack.synchronisation is not None
    scale = stack.synchronisation.scale(time)
    across_views = across_times = tokens
    for block, sync in zip(stack.blocks, stack.synchronisation.layers, strict=True):
        across_views = run(block, across_views, "across_views")
        across_times = run(block, across_times, "across_times")
        across_views, across_times = sync(across_views, across_times, scale)
    return (across_views + across_times) / 2


def trains(arrangement: Arrangement, parameter: str) -> bool:
    """Whether the papers train a parameter (by its name in the model) in this arrangement.

    Source: 4Real-Video-V2, section 3.1 "Training" ("only the self-attention layers are fine-tuned"); 4Real-Video,
    section 4.1 ("only affects the weights of the synchronization layers").
    """
    if arrangement in ("fused", "sequential_twice", "sequential_alternate"):
        return ".attn1." in parameter or parameter.startswith("view_embedding.")
    return parameter.startswith(("cross_view.", "synchronisation."))
