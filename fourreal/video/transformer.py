"""`ViewTimeTransformer`: a released video diffusion transformer that denoises whole view-time grids.

A subclass of diffusers' Wan transformer. Names, keys and shapes of the base stay, so that every Wan checkpoint
folder loads, and LoRA, offloading, quantisation and gradient checkpointing work as they do there.

Source: 4Real-Video-V2, section 3.1 and appendix B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel, WanTransformerBlock
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from fourreal.core.errors import InputError
from fourreal.video import presets
from fourreal.video.arrangements import (
    Arrangement,
    BlockInputs,
    BlockStack,
    new_cross_view_layers,
    new_synchronisation,
    patterns_of,
    run_blocks,
)
from fourreal.video.attention_processor import ViewTimeAttnProcessor
from fourreal.video.conditioning import (
    ContextMode,
    ContextTokens,
    embed_references,
)
from fourreal.video.positions import AttentionPattern, TokenPlan, ViewEmbedding, ViewPositions, ViewTimeRotary
from fourreal.video.rectified_flow import Prediction
from fourreal.video.reference_gate import (
    CueWeights,
    ReferenceGate,
    add_cues,
    mix_references,
    pixel_cues,
    reference_values,
    with_drafts,
)
from fourreal.video.token_grid import TokenGrid
from fourreal.video.view_time_attention import Implementation

Trained = Literal["nothing", "video", "grid"]
"""What the weights have been trained for. nothing: random. video: single videos (a released base model).
grid: view-time grids."""

RENAMED_MODULES = {"heed.": "cue_weights."}
"""First parts of parameter names that older checkpoints use, and what they are called now."""


def current_name(name: str) -> str:
    """What a parameter of a checkpoint is called now."""
    for old, new in RENAMED_MODULES.items():
        name = new + name.removeprefix(old) if name.startswith(old) else name
    return name


NEW_MODULES = ("view_embedding", "context_embedding", "cross_view", "synchronisation", "reference_gate", "cue_weights")
"""Submodules that a stock Wan checkpoint has no weights for; they start from their own initial values."""

_UNPATCHED = "b (v t h w) (pt ph pw c) -> b v c (t pt) (h ph) (w pw)"


class ViewTimeTransformer(WanTransformer3DModel):
    """Wan's transformer over a grid of latents, with the view-time arrangement of its config.

    The first sixteen arguments are Wan's own (`num_attention_heads=12` and so on; see diffusers). Ours:

    Args:
        t_max: stride between views in rotary positions; 21 latents are the 81 frames Wan was trained on.
        view_positions: how the view enters a token's position, in the fused arrangement; the others only ever see
            single rows and columns.
        rope_theta: base of the rotary frequencies; 10,000 for Wan, about 30 for small token grids.
        arrangement: which of the papers' architectures to run.
        attention: implementation of the fused attention.
        prediction: what the output means; the sampler reads it, the network does not.
        reference_conditioning: whether known cells are given as references. No parameter depends on it.
        query_gain, key_gain: initial gain of the RMS norms of queries and keys; above 1 lets a small new
            model form sharp matches early. Without effect on loaded weights.
        context_tokens: learned tokens for freeze-time and dynamic videos beside the text (V1, section 3.1).
        gate: the output takes over, value by value, as much of the references as learned gates allow, and a new model
            outputs nothing else; for small pixel models, whose tokens are narrower than the patches they stand for.
        tubelet: frames, and pixels along each side, that the channels of a latent hold (`PixelTubelets`). Gates of a
            model with a tubelet also weigh what single pixels of the references show.
        trained: what the weights are good for.
    """

    # Splitting the sequence over devices would cut through rows and columns; diffusers refuses without a plan.
    _cp_plan = None

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, ...] | list[int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        t_max: int = 21,
        view_positions: ViewPositions = "stride",
        rope_theta: float = 10_000.0,
        arrangement: Arrangement = "fused",
        attention: Implementation = "auto",
        prediction: Prediction = "velocity",
        reference_conditioning: bool = True,
        query_gain: float = 1.0,
        key_gain: float = 1.0,
        context_tokens: bool = False,
        gate: bool = False,
        tubelet: tuple[int, int] | list[int] | None = None,
        trained: Trained = "nothing",
    ) -> None:
        check_choices(
            {
                "view_positions": view_positions,
                "arrangement": arrangement,
                "attention": attention,
                "prediction": prediction,
                "trained": trained,
            }
        )
        if gate or tubelet is not None:
            _check_gate(gate, prediction, tubelet, patch_size, out_channels)
        super().__init__(
            patch_size=tuple(patch_size),
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim,
            rope_max_seq_len=rope_max_seq_len,
            pos_embed_seq_len=pos_embed_seq_len,
        )
        width = num_attention_heads * attention_head_dim
        patch = (patch_size[0], patch_size[1], patch_size[2])
        self.rope = ViewTimeRotary(attention_head_dim, patch, rope_max_seq_len, rope_theta, t_max, view_positions)
        for block in self.blocks:
            assert isinstance(block, WanTransformerBlock)
            attention_layer = block.attn1
            attention_layer.set_processor(ViewTimeAttnProcessor(attention))  # pyright: ignore[reportArgumentType]
            nn.init.constant_(attention_layer.norm_q.weight, query_gain)
            nn.init.constant_(attention_layer.norm_k.weight, key_gain)
        learned = view_positions == "learned" and arrangement == "fused"
        self.view_embedding = ViewEmbedding(width) if learned else None
        self.context_embedding = ContextTokens(width) if context_tokens else None
        self.cross_view = new_cross_view_layers(arrangement, num_layers, width, ffn_dim, num_attention_heads, eps)
        self.synchronisation = new_synchronisation(arrangement, num_layers, width)
        self.reference_gate = ReferenceGate(width, out_channels * patch[0] * patch[1] * patch[2]) if gate else None
        self.cue_weights = CueWeights(width) if tubelet is not None else None
        if gate:
            nn.init.zeros_(self.proj_out.weight)
            nn.init.zeros_(self.proj_out.bias)

    @classmethod
    def tiny(cls, **changes: Any) -> ViewTimeTransformer:
        """A model for tests: two blocks, 85,840 parameters, random weights; up to 12 views."""
        return cls(**(presets.tiny() | changes))

    @classmethod
    def from_pretrained(cls, *arguments: Any, **options: Any) -> Any:
        """diffusers' own loader, which also takes a stock Wan folder; `weights.load_model` gives plainer errors.

        Modules that the checkpoint has no weights for (`NEW_MODULES`) get their initial values.
        """
        loaded = super().from_pretrained(*arguments, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        assert isinstance(model, ViewTimeTransformer)
        model.initialise_new_modules()
        return loaded

    @torch.no_grad()
    def _fix_state_dict_keys_on_load(self, state_dict: Any) -> None:
        super()._fix_state_dict_keys_on_load(state_dict)
        for name in list(state_dict):
            state_dict[current_name(name)] = state_dict.pop(name)

    def initialise_new_modules(self) -> None:
        """Give every new module that a loader left without storage its initial values."""
        for name in NEW_MODULES:
            module = getattr(self, name)
            if module is None or not any(parameter.is_meta for parameter in module.parameters()):
                continue
            module.to_empty(device=self.proj_out.weight.device)
            module.to(self.proj_out.weight.dtype)
            for part in [module] if hasattr(module, "reset_parameters") else module:
                part.reset_parameters()

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        latents: Float[Tensor, "B V C t h w"],
        timestep: Float[Tensor, "B"] | Float[Tensor, "B V t"],
        text: Float[Tensor, "B M K"],
        references: Float[Tensor, "B V C t h w"] | None = None,
        reference_mask: Bool[Tensor, "B V t"] | Int[Tensor, "B V t"] | None = None,
        *,
        freeze_text: Float[Tensor, "B M2 K"] | None = None,
        mode: ContextMode | Int[Tensor, "B"] | None = None,
        image: Float[Tensor, "B M3 K2"] | None = None,
    ) -> Float[Tensor, "B V C2 t h w"]:
        """The network's prediction (see `config.prediction`) for noised latents.

        Args:
            latents: noised latents, views outermost.
            timestep: 1000 sigma as a float; one a sample, or one a latent frame (Wan 2.2 TI2V: 0 where known).
            text: text embeddings.
            references: clean latents; only those under the mask are read.
            reference_mask: which latents are known. As numbers: 2 known, 0 not, and 1 (not in the papers) a draft of
                what an unknown cell may look like; a model with gates may keep drafts value by value, any other is
                given them as references.
            freeze_text: text for the passes across views, where an arrangement has any (a prompt that asks for a
                still scene); `text` serves both when left out.
            mode: freeze-time or dynamic, for models with context tokens; both at once when left out.
            image: image embeddings, for Wan image-to-video models.

        Raises:
            InputError: shapes that this model cannot take; the message says which and what fits.

        Source: 4Real-Video-V2, section 3.1.
        """
        self._check(latents, text, references, reference_mask)
        p_t, p_h, p_w = self.config["patch_size"]
        _, views, _, t, h, w = latents.shape
        grid = TokenGrid(views, t // p_t, (h // p_h) * (w // p_w))
        known, drafted = _known_and_drafted(reference_mask, gate=self.reference_gate is not None)
        tokens = embed_references(self.patch_embedding, latents, references, known)
        time, modulation, text, image = self._embed_conditions(timestep, text, image, grid)
        if freeze_text is not None:
            freeze_text = self.condition_embedder.text_embedder(freeze_text)
        arrangement: Arrangement = self.config["arrangement"]
        patterns = patterns_of(arrangement, views)
        inputs = BlockInputs(
            plans={pattern: self._plan(latents, grid, pattern) for pattern in patterns},
            text={pattern: self._context(pattern, text, freeze_text, mode, image) for pattern in patterns},
            modulation=modulation,
            time=time,
        )
        stack = BlockStack(self.blocks, self.cross_view, self.synchronisation, self._run)
        tokens = self._modulate_out(run_blocks(arrangement, stack, tokens, inputs), time)
        axes = {"v": views, "t": t // p_t, "h": h // p_h, "pt": p_t, "ph": p_h, "pw": p_w}
        predicted = rearrange(self.proj_out(tokens), _UNPATCHED, **axes)
        if self.reference_gate is None or references is None or known is None:
            return predicted
        gates = [rearrange(gate, _UNPATCHED, **axes).to(references) for gate in self.reference_gate(tokens)]
        values = reference_values(references, known)
        if drafted is not None:
            values = with_drafts(values, references, drafted)
        if self.cue_weights is not None:
            gates = add_cues(gates, self.cue_weights(tokens, views, t, h), pixel_cues(values, self.config["tubelet"]))
        return mix_references(predicted.to(references), gates, values)

    def _check(self, latents: Tensor, text: Tensor, references: Tensor | None, reference_mask: Tensor | None) -> None:
        config = self.config
        channels, *sizes = latents.shape[2:]
        if channels != config["in_channels"]:
            raise InputError(f"this model takes latents of {config['in_channels']} channels; got {channels}")
        patch = tuple(config["patch_size"])
        if any(size % step for size, step in zip(sizes, patch, strict=True)):
            raise InputError(f"latent sizes (t, h, w) must be multiples of the patch {patch}; got {tuple(sizes)}")
        if text.shape[-1] != config["text_dim"]:
            raise InputError(f"this model takes text embeddings {config['text_dim']} wide; got {text.shape[-1]}")
        if (references is None) != (reference_mask is None):
            raise InputError("references and reference_mask belong together; got only one of them")
        if references is not None and not config["reference_conditioning"]:
            raise InputError("this model was built without reference conditioning; leave references out")

    def _embed_conditions(
        self, timestep: Tensor, text: Tensor, image: Tensor | None, grid: TokenGrid
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Embedding of the time, its six modulation vectors, embedded text, embedded image."""
        length = None
        if timestep.ndim == 3:
            frames = timestep[:, :, :: self.config["patch_size"][0]]
            timestep = repeat(frames, "b v t -> (b v t s)", s=grid.frame_tokens)
            length = grid.tokens
        time, modulation, text, image = self.condition_embedder(timestep, text, image, timestep_seq_len=length)
        return time, modulation.unflatten(-1, (6, -1)), text, image

    def _plan(self, latents: Tensor, grid: TokenGrid, pattern: AttentionPattern) -> TokenPlan:
        embedding = self.view_embedding(grid.views) if self.view_embedding is not None else None
        cos, sin = self.rope(latents, pattern)
        return TokenPlan(cos, sin, grid, pattern, embedding)

    def _context(
        self,
        pattern: AttentionPattern,
        text: Tensor,
        freeze_text: Tensor | None,
        mode: ContextMode | Tensor | None,
        image: Tensor | None,
    ) -> Tensor:
        """What the tokens' cross-attention sees in passes of this pattern."""
        if pattern == "across_views" and freeze_text is not None:
            text = freeze_text
        if self.context_embedding is not None:
            if pattern != "fused":
                mode = "freeze_time" if pattern == "across_views" else "dynamic"
            text = self.context_embedding(text, mode)
        elif mode is not None:
            raise InputError("this model has no context tokens; ask for a still or a moving scene in the prompt")
        return text if image is None else torch.cat([image, text], dim=1)

    def _run(self, layer: nn.Module, *arguments: Any) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            assert self._gradient_checkpointing_func is not None
            return self._gradient_checkpointing_func(layer, *arguments)
        return layer(*arguments)

    def _modulate_out(self, tokens: Float[Tensor, "B L D"], time: Float[Tensor, "B *L D"]) -> Float[Tensor, "B L D"]:
        time = time if time.ndim == 3 else time.unsqueeze(1)
        shift, scale = (self.scale_shift_table + time.unsqueeze(-2)).to(tokens.device).unbind(-2)
        return (self.norm_out(tokens.float()) * (1 + scale) + shift).type_as(tokens)


DRAFTED, KNOWN = 1, 2
"""Numbers of a reference mask."""

_CHOICES = {
    "view_positions": ViewPositions,
    "arrangement": Arrangement,
    "attention": Implementation,
    "prediction": Prediction,
    "trained": Trained,
}


def _known_and_drafted(
    mask: Bool[Tensor, "B V t"] | Int[Tensor, "B V t"] | None, gate: bool
) -> tuple[Bool[Tensor, "B V t"] | None, Bool[Tensor, "B V t"] | None]:
    """Which latents count as known and which as drafts; without gates a draft is taken for known."""
    if mask is None or mask.dtype == torch.bool:
        return mask, None
    return (mask == KNOWN, mask == DRAFTED) if gate else (mask >= DRAFTED, None)


def _check_gate(
    gate: bool, prediction: str, tubelet: Sequence[int] | None, patch: Sequence[int], channels: int
) -> None:
    if gate and prediction != "sample":
        raise InputError(
            f"a gate mixes references into clean samples; it needs prediction 'sample', got {prediction!r}"
        )
    if tubelet is None:
        return
    frames, side = tubelet
    if not gate or tuple(patch) != (1, 1, 1) or channels != 3 * frames * side**2:
        raise InputError(
            "a model with a tubelet needs a gate, patches of (1, 1, 1) and latents of 3 x frames x side x "
            f"side channels; got gate={gate}, patch {tuple(patch)} and {channels} channels for {tuple(tubelet)}"
        )


def check_choices(config: Mapping[str, Any]) -> None:
    """Refuse config values outside their `Literal`. Raises InputError naming the key and its choices."""
    for name, choices in _CHOICES.items():
        if name in config and config[name] not in get_args(choices):
            raise InputError(f"{name} must be one of {', '.join(get_args(choices))}; got {config[name]!r}")
