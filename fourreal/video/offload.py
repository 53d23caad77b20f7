"""On which device the parts of a model are, and in which number format they compute.

Text encoder, transformer and codec are used one after another; a 14B transformer and the 5.7B text
encoder need not be on the GPU together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from fourreal.core.devices import resolve_device
from fourreal.video.settings import ComputeType, Offload

if TYPE_CHECKING:
    from fourreal.video.generator import ViewTimeGenerator
    from fourreal.video.transformer import ViewTimeTransformer

Part = TypeVar("Part")


def computing(compute_type: ComputeType, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Have the network compute in a number format while the block runs."""
    if compute_type == "stored":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, compute_type))


@contextlib.contextmanager
def on_device(part: Part, device: str, offload: Offload) -> Iterator[Part]:
    """Have a text encoder or a codec on the device while the block runs."""
    moved: Any = part
    moved = moved.to(resolve_device(device))
    try:
        yield moved
    finally:
        if offload in ("parts", "blocks"):
            moved.to("cpu")


@contextlib.contextmanager
def transformer_on_device(transformer: Any, device: str, offload: Offload) -> Iterator[torch.device]:
    """Have the transformer (or, with "blocks", its working block) on the device; yields the device."""
    target = resolve_device(device)
    if offload == "blocks":
        with _block_offload(transformer, target):
            yield target
        return
    transformer.to(target)
    try:
        yield target
    finally:
        if offload == "parts":
            transformer.to("cpu")


@contextlib.contextmanager
def experts_on_device(
    model: ViewTimeGenerator, device: str, offload: Offload
) -> Iterator[Callable[[float], ViewTimeTransformer]]:
    """Yields what gives the transformer of a noise level, on the device; another expert leaves it before."""
    with contextlib.ExitStack() as placed:
        there: list[ViewTimeTransformer] = []

        def at(sigma: float) -> ViewTimeTransformer:
            wanted = model.expert(sigma)
            if not there or there[-1] is not wanted:
                placed.close()
                placed.enter_context(transformer_on_device(wanted, device, offload))
                there.append(wanted)
            return wanted

        yield at


def leave_device(model: ViewTimeGenerator) -> None:
    """Move a model to the CPU before another takes its place; plans count one model at a time."""
    for part in (model.text_encoder, model.codec, model.image_encoder, *model.transformers):
        moved: Any = part
        if moved is not None:
            moved.to("cpu")


@contextlib.contextmanager
def _block_offload(transformer: Any, target: torch.device) -> Iterator[None]:
    from diffusers.hooks.hooks import HookRegistry

    transformer.to("cpu")
    transformer.enable_group_offload(
        onload_device=target,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=target.type == "cuda",
    )
    try:
        yield
    finally:
        registry = HookRegistry.check_if_exists_or_initialize(transformer)
        for hook in ("layer_execution_tracker", "lazy_prefetch_group_offloading", "group_offloading"):
            registry.remove_hook(hook, recurse=True)
