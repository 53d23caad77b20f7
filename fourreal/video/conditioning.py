"""What a model is told beside the noised latents: known cells, and whether the scene stands still.

Source: 4Real-Video-V2, section 3.1 "Grounded generation with reference videos", section 4.1, appendix B;
4Real-Video, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

ContextMode = Literal["freeze_time", "dynamic"]
"""freeze_time: a camera moves through a scene that stands still. dynamic: the scene moves."""

MODES: tuple[ContextMode, ...] = ("freeze_time", "dynamic")

STATIC_SHOT = "static shot. The camera is completely static and doesn't move at all."
"""Appended to the prompt of a fixed-view video. Source: 4Real-Video-V2, section 4.1."""

FREEZE_TIME = "freeze time. The camera moves slowly around the scene while everything in it stands completely still."
"""Appended to the prompt of a freeze-time video; the wording is ours."""


def prompt_for(prompt: str, mode: ContextMode) -> str:
    """A prompt that tells a released base model which kind of video is wanted."""
    return f"{prompt} {STATIC_SHOT if mode == 'dynamic' else FREEZE_TIME}".strip()


def embed_references(
    patch_embedding: nn.Module,
    latents: Float[Tensor, "B V C t h w"],
    references: Float[Tensor, "B V C t h w"] | None,
    known: Bool[Tensor, "B V t"] | None,
) -> Float[Tensor, "B L D"]:
    """Tokens of noised latents plus, where known, the patch embeddings of the references.

    Adding embeddings is not embedding the sum: the embedding's bias comes a second time and marks a token as given.
    So the mask applies behind the convolution, and a cell that is not known adds nothing at all.

    Source: 4Real-Video-V2, section 3.1 ("adding the patch embeddings of the reference frames to the noised latent
    tokens").
    """
    tokens = _patches(patch_embedding, latents)
    if references is not None and known is not None:
        # A patch that spans several latents is known when all of them are.
        frames = rearrange(known, "b v (t p) -> b v t p", t=tokens.shape[2]).all(-1)
        added = _patches(patch_embedding, references)
        tokens = tokens + torch.where(frames[..., None, None], added, 0)
    return rearrange(tokens, "b v t s d -> b (v t s) d")


def _patches(patch_embedding: nn.Module, latents: Float[Tensor, "B V C t h w"]) -> Float[Tensor, "B V t2 s D"]:
    patches = patch_embedding(rearrange(latents, "b v c t h w -> (b v) c t h w"))
    return rearrange(patches, "(b v) d t h w -> b v t (h w) d", b=latents.shape[0])


class ReferenceGate(nn.Module):
    """What each value of an output takes over from the references: three logits.

    Not in the papers. A token of a small pixel model is narrower than the patch it stands for, so whatever could be
    copied would come out blurred; the gates let it pass by the network.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.kept, self.borrowed, self.carried = (nn.Linear(width, channels) for _ in FIRST_LOGITS)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for layer, logit in zip((self.kept, self.borrowed, self.carried), FIRST_LOGITS, strict=True):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, logit)

    def forward(self, tokens: Float[Tensor, "B L D"]) -> tuple[Float[Tensor, "B L P"], ...]:
        return self.kept(tokens), self.borrowed(tokens), self.carried(tokens)


FIRST_LOGITS = (3.0, 0.0, -3.0)
"""Of a new gate: nearly everything is kept, little is borrowed, and next to no change is carried over."""


@dataclass(frozen=True)
class Hints:
    """What the references say of every cell; zero where they say nothing.

    Attributes:
        own: the known latent of the own view that is nearest in time, and which cells have one.
        across: the known latent of the own time that is nearest in view, and which cells have one.
        change: how the view of `across` changed between the time of `own` and now, and which cells have that.
    """

    own: Float[Tensor, "B V C t h w"]
    own_known: Bool[Tensor, "B V t"]
    across: Float[Tensor, "B V C t h w"]
    across_known: Bool[Tensor, "B V t"]
    change: Float[Tensor, "B V C t h w"]
    change_known: Bool[Tensor, "B V t"]


def mix_in_hints(said: Float[Tensor, "B V C t h w"], gates: Sequence[Tensor], hints: Hints) -> Tensor:
    """A mixture, value by value, of what the network said, the own view's reference and the own time's; and of the
    change between references as much as its gate lets through.

    Where a gate keeps a reference whole the network has no say, so its small errors do not show in what stands still.
    Without any reference the network's word stands.

    Args:
        gates: logits of `ReferenceGate`, each of the shape of `said`.
    """
    kept, borrowed, carried = gates
    own, across = (known[:, :, None, :, None, None] for known in (hints.own_known, hints.across_known))
    logits = torch.stack(
        [torch.zeros_like(kept), kept.masked_fill(~own, -torch.inf), borrowed.masked_fill(~across, -torch.inf)]
    )
    shares = logits.softmax(0)
    return shares[0] * said + shares[1] * hints.own + shares[2] * hints.across + torch.sigmoid(carried) * hints.change


def hints_of(references: Float[Tensor, "B V C t h w"], known: Bool[Tensor, "B V t"]) -> Hints:
    """Read the known cells, and only those. With a cross known, own + change is the first frame of the own view plus
    what has changed in the first view since."""
    _, views, _, times, _, _ = references.shape
    own, own_time = _nearest_known(known)
    across, across_view = (found.mT for found in _nearest_known(known.mT))
    now, here = torch.arange(times, device=known.device), torch.arange(views, device=known.device)[:, None]
    sample = torch.arange(len(known), device=known.device)[:, None, None]
    cells = rearrange(references, "b v c t h w -> b v t c h w")

    def read(view: Tensor, time: Tensor, told: Bool[Tensor, "B V t"]) -> Float[Tensor, "B V C t h w"]:
        found = torch.where(told[..., None, None, None], cells[sample, view, time], 0)
        return rearrange(found, "b v t c h w -> b v c t h w")

    both = own & across & known[sample, across_view, own_time]
    return Hints(
        own=read(here, own_time, own),
        own_known=own,
        across=read(across_view, now, across),
        across_known=across,
        change=read(across_view, now, both) - read(across_view, own_time, both),
        change_known=both,
    )


def _nearest_known(known: Bool[Tensor, "B N M"]) -> tuple[Bool[Tensor, "B N M"], Int[Tensor, "B N M"]]:
    """Along the last axis: whether anything is known, and the place of the nearest known one (the earlier of two)."""
    places = torch.arange(known.shape[-1], device=known.device)
    distance = (places[:, None] - places).abs().expand(*known.shape, -1)
    distance = distance.masked_fill(~known[..., None, :], len(places))
    return known.any(-1, keepdim=True).expand(known.shape), distance.argmin(-1)


class ContextTokens(nn.Module):
    """One learned token per mode, set beside the text: how our own base models tell the two kinds of video apart.

    Source: 4Real-Video, section 3.1 ("each group is associated with a unique context embedding").
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(len(MODES), width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.tokens, std=self.tokens.shape[-1] ** -0.5)

    def forward(
        self, text: Float[Tensor, "B M D"], mode: ContextMode | Int[Tensor, "B"] | None
    ) -> Float[Tensor, "B M2 D"]:
        """The text followed by the mode's token; by both for a whole grid, which has both kinds in it.

        Args:
            mode: by name, or per sample as an index into `MODES`.
        """
        batch = text.shape[0]
        if mode is None:
            chosen = self.tokens.expand(batch, -1, -1)
        elif isinstance(mode, Tensor):
            chosen = self.tokens[mode][:, None]
        else:
            chosen = self.tokens[MODES.index(mode)].expand(batch, 1, -1)
        return torch.cat([text, chosen.type_as(text)], dim=1)


def drop_conditions(
    batch: int, probability: float, generator: torch.Generator, device: torch.device | None = None
) -> Bool[Tensor, "B"]:
    """For which samples of a training batch a condition is left out; called once for text and once for references.

    Guidance at sampling compares with and without, separately for text and references, so both must be met in
    training without. Source: 4Real-Video-V2, appendix B "Classifier-Free Guidance".
    """
    return (torch.rand(batch, generator=generator, device=generator.device) < probability).to(device)


def keep_conditions(
    text: Float[Tensor, "B M K"],
    known: Bool[Tensor, "B V t"],
    *,
    without_text: Bool[Tensor, "B"],
    without_references: Bool[Tensor, "B"],
    null_text: Float[Tensor, "M K"] | None = None,
) -> tuple[Float[Tensor, "B M K"], Bool[Tensor, "B V t"]]:
    """Text and reference mask with the dropped samples emptied.

    Args:
        null_text: embedding of the empty prompt; zeros when left out.
    """
    empty = torch.zeros_like(text[0]) if null_text is None else null_text.type_as(text)
    return torch.where(without_text[:, None, None], empty, text), known & ~without_references[:, None, None]
