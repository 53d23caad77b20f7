"""What does each arrangement of a view-time model cost in one forward pass? The papers' Table 4, on this machine.

    python benchmarks/arrangements.py [--quick] [--device cuda] [--sizes wan-1.3b wan-14b] [--literal] [--compile]
                                      [--busy]

Random weights: speed and memory do not depend on them. On CUDA models of released sizes in bfloat16 on the paper's
grid, 8 views x 61 frames at 288 x 512: 16 latent times of 36 x 64. Wan's 2 x 2 patches make that 73,728 tokens;
the paper counts 8 x 16 x 36 x 64 = 294,912, as if without patches, which its own timings contradict. --literal
takes patches of one and so that count. On the CPU a small model on a small grid: for trying the script, and for the
order of the arrangements; FlexAttention runs uncompiled there and is no contestant.

--compile compiles the blocks (diffusers' compile_repeated_blocks), which fuses the element-wise work around
attention. --busy counts one thread's processor time, for a machine that also does other work.

Source: 4Real-Video-V2, Table 4; 4Real-Video, sections 3.2.2-3.2.4.
"""

from __future__ import annotations

import argparse
import gc
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import Call, best_seconds, machine, peak_extra_bytes, write_rows

from fourreal.core.devices import resolve_device
from fourreal.video.arrangements import Arrangement
from fourreal.video.presets import PRESETS
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.view_time_attention import Implementation
from fourreal.video.weights import load_model

ROWS: tuple[tuple[str, Arrangement, Implementation], ...] = (
    ("fused, merged", "fused", "merged"),
    ("fused, flex with block mask", "fused", "flex"),
    ("fused, dense mask", "fused", "dense"),
    ("sequential, blocks alternate", "sequential_alternate", "auto"),
    ("sequential, blocks run twice", "sequential_twice", "auto"),
    ("sequential, added cross-view", "sequential_added", "auto"),
    ("parallel, hard sync", "parallel_hard", "auto"),
    ("parallel, soft sync", "parallel_soft", "auto"),
)

SMALL = {"num_attention_heads": 6, "attention_head_dim": 64, "ffn_dim": 1536, "num_layers": 4, "text_dim": 64}
QUICK = {"num_attention_heads": 2, "attention_head_dim": 24, "ffn_dim": 96, "num_layers": 2, "text_dim": 64}


@dataclass(frozen=True)
class Size:
    name: str
    config: dict[str, Any]
    views: int
    latent: tuple[int, int, int]  # times, rows, columns
    text_tokens: int

    def tokens(self) -> int:
        times, rows, columns = self.latent
        _, p_h, p_w = self.config.get("patch_size", (1, 2, 2))
        return self.views * times * (rows // p_h) * (columns // p_w)


@dataclass(frozen=True)
class Cost:
    parameters: int
    seconds: float
    peak_bytes: int  # weights included


@torch.no_grad()
def cost(size: Size, row: tuple[str, Arrangement, Implementation], device: torch.device, options: Any) -> Cost | None:
    """One arrangement's cost, or None where it does not fit in memory."""
    _, arrangement, attention = row
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    try:
        model = build(size, arrangement, attention, dtype, device)
        if options.compile:
            model.compile_repeated_blocks(fullgraph=True)
        call = forward(model, size, dtype, device)
        repeats = 1 if options.quick else 3
        seconds = best_seconds({"forward": call}, repeats, device, busy=options.busy)["forward"]
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        return Cost(sum(p.numel() for p in model.parameters()), seconds, weights + peak_extra_bytes(call, device))
    except torch.OutOfMemoryError:
        return None
    finally:
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def build(
    size: Size, arrangement: Arrangement, attention: Implementation, dtype: torch.dtype, device: torch.device
) -> ViewTimeTransformer:
    if size.name in PRESETS:
        changes = {key: value for key, value in size.config.items() if key == "patch_size"}
        return load_model(
            size.name, dtype=dtype, device=device, arrangement=arrangement, attention=attention, **changes
        )
    return ViewTimeTransformer(**size.config, arrangement=arrangement, attention=attention).eval()


def forward(model: ViewTimeTransformer, size: Size, dtype: torch.dtype, device: torch.device) -> Call:
    config = model.config
    latents = torch.randn(1, size.views, config["in_channels"], *size.latent, device=device, dtype=dtype)
    text = torch.randn(1, size.text_tokens, config["text_dim"], device=device, dtype=dtype)
    known = torch.zeros(1, size.views, size.latent[0], dtype=torch.bool, device=device)
    known[:, 0], known[:, :, 0] = True, True
    timestep = torch.tensor([500.0], device=device)
    return lambda: model(latents, timestep, text, latents, known)


def sizes(device: torch.device, options: Any) -> list[Size]:
    patch = {"patch_size": (1, 1, 1)} if options.literal else {}
    if options.quick:
        return [Size("two blocks", QUICK | patch, 3, (3, 8, 8), 16)]
    if device.type == "cpu" and not options.sizes:
        return [Size("four blocks, width 384", SMALL | patch, 8, (8, 16, 16), 64)]
    names = options.sizes or ["wan-1.3b", "wan-14b"]
    return [Size(name, PRESETS[name]() | patch, 8, (16, 36, 64), 512) for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a very small model, once")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sizes", nargs="*", choices=sorted(PRESETS), help="models by name")
    parser.add_argument("--literal", action="store_true", help="patches of one: the paper's own token count")
    parser.add_argument("--compile", action="store_true", help="compile the blocks")
    parser.add_argument("--busy", action="store_true", help="one thread, processor time")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    device = resolve_device(options.device)
    if options.busy:
        torch.set_num_threads(1)
    torch.manual_seed(0)
    print(machine(device))
    rows = []
    for size in sizes(device, options):
        costs = {row[0]: cost(size, row, device, options) for row in ROWS}
        show(size, costs)
        told = {"model": size.name, "tokens": size.tokens()}
        rows += [{**told, "arrangement": name, **(asdict(found) if found else {})} for name, found in costs.items()]
    if options.json:
        write_rows(options.json, device, rows)


def show(size: Size, costs: dict[str, Cost | None]) -> None:
    times, rows, columns = size.latent
    print(f"\n{size.name}: {size.views} views x {times} latent times of {rows} x {columns}, {size.tokens():,} tokens")
    print("| arrangement | parameters (millions) | seconds | of fused, merged | peak GB |")
    print("|---|---|---|---|---|")
    first = costs[ROWS[0][0]]
    for name, found in costs.items():
        if found is None:
            print(f"| {name} | - | out of memory | - | - |")
            continue
        ratio = f"{found.seconds / first.seconds:.2f}" if first else "-"
        cells = (f"{found.parameters / 1e6:,.2f}", f"{found.seconds:.3f}", ratio, f"{found.peak_bytes / 1e9:.3g}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name in ("fused, flex with block mask", "sequential, blocks alternate"):
        other = costs[name]
        if first and other:
            print(f"fused, merged / {name}: {first.seconds / other.seconds:.2f}")


if __name__ == "__main__":
    main()
