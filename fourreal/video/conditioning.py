"""The inputs of a model beside the noised latents: known cells, and whether the scene stands still.

Source: 4Real-Video-V2, section 3.1 "Grounded generation with reference videos", section 4.1, appendix B;
4Real-Video, section 3.1.
"""

from __future__ import annotations

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
    """The prompt with the phrase that makes a released base model generate this kind of video."""
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


class ContextTokens(nn.Module):
    """One learned token per mode, set beside the text: the input that selects the kind of video in our own base models.

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
