"""The papers' choices for the video model, tried at a size that one CPU core trains in minutes.

    python benchmarks/ablations/video.py --study arrangements --out runs/ablations [--seeds 0 1] [--steps 800]
    python benchmarks/ablations/video.py --study positions ...
    python benchmarks/ablations/video.py --study mixtures ...
    python benchmarks/ablations/video.py --study settings --model mini ...

Arms of a study differ in one thing and share everything else: first weights by seed, samples, their noise, steps and
batch. Every parameter trains from nothing, because no base worth freezing exists at this size; the papers train the
arrangement's own parameters on a strong base. Grids are 3 views x 9 frames of 32 x 32, camera arcs 5 to 25 degrees;
figures are those of `fourreal evaluate worlds` on 64 held-out worlds of that size. `settings` trains nothing: it asks
one trained model for the same worlds with other numbers of steps, or with parallel streams that share nothing learnt.

Give the command again to go on; finished arms are kept.

Source: 4Real-Video-V2, Tables 2, 3, 5, S1, S2, S5; 4Real-Video, Table 1 and section 7.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fourreal.core.atomic import atomic_file
from fourreal.core.grid import VideoGrid
from fourreal.core.progress import progress_bar
from fourreal.data.mixture import GridMixture, MixtureConfig
from fourreal.data.shards import write_shards
from fourreal.data.worlds import WorldConfig
from fourreal.eval.protocols.evaluate import Evaluation, evaluate
from fourreal.eval.protocols.protocol import Extent, Models
from fourreal.eval.protocols.worlds import worlds
from fourreal.eval.scores import Measured, NotComputed, paired_difference
from fourreal.job.content import hash_path
from fourreal.train.loop import train
from fourreal.train.parallel import Processes
from fourreal.train.recipe import LoopConfig, OptimiserConfig, VideoRecipe, VideoStage
from fourreal.train.settings import RunSettings
from fourreal.train.video_recipes import VIDEO_RECIPES
from fourreal.train.video_task import VideoTask
from fourreal.video.generate import generate
from fourreal.video.generator import ViewTimeGenerator
from fourreal.video.model_folder import find_model_folder
from fourreal.video.settings import GenerationSettings

SHAPE: dict[str, Any] = {"views": 3, "frames": 9, "height": 32, "width": 32, "arc_deg": (5.0, 25.0)}
SAMPLES, BATCH, SAMPLING_STEPS = 1500, 8, 8
METRICS = ("PSNR", "PSNR (moving)", "SSIM")
SHARES = (0.5, 0.3, 0.15, 0.05)

Arms = Mapping[str, Mapping[str, Any]]
STUDIES: Mapping[str, Arms] = {
    "arrangements": {
        "fused": {},
        "parallel, soft": {"model": {"arrangement": "parallel_soft"}},
        "sequential": {"model": {"arrangement": "sequential_twice"}},
        "parallel, hard": {"model": {"arrangement": "parallel_hard"}},
    },
    "positions": {
        "stride": {},
        "sum": {"model": {"view_positions": "sum"}},
        "learned": {"model": {"view_positions": "learned"}},
    },
    "mixtures": {
        "all kinds": {},
        "without warped clips": {"shares": (0.5, 0.3, 0.0, 0.05)},
        "without physics": {"shares": (0.5, 0.0, 0.15, 0.05)},
        "warped and still scenes alone": {"shares": (0.0, 0.0, 0.15, 0.05)},
    },
    "gate": {
        "gates that heed pixels": {},
        "gates of tokens alone": {"model": {"tubelet": None}},
        "no gates": {"model": {"gate": False, "tubelet": None}},
    },
    "settings": {
        "4 steps": {"steps": 4},
        "8 steps": {"steps": 8},
        "16 steps": {"steps": 16},
        "40 steps": {"steps": 40},
        "parallel streams, averaged": {"steps": 8, "changes": {"arrangement": "parallel_average"}},
        "parallel streams, blended": {"steps": 8, "changes": {"arrangement": "parallel_blend"}},
    },
}


def ablation_recipe(arm: Mapping[str, Any], seed: int, steps: int, shards: Path) -> VideoRecipe:
    """The recipe of an arm: `mini`, smaller, in one stage."""
    mini = VIDEO_RECIPES["mini"]()
    model = mini.model | {"num_attention_heads": 3, "num_layers": 4, "ffn_dim": 288} | dict(arm.get("model", {}))
    worlds = WorldConfig(**SHAPE, photo_textures=True)
    data = MixtureConfig(worlds=worlds, shares=arm.get("shares", SHARES), pattern_shares=(0.6, 0.2, 0.2, 0.0))
    muon = OptimiserConfig(kind="muon", lr=2e-3, muon_lr=0.02, warmup=50, decay=0.4)
    return replace(
        mini,
        name="ablation",
        scales="everything: 32 x 32, 0.7M parameters, minutes of one core",
        model=model,
        stages=(
            VideoStage(
                name="grids", data="grids", steps=steps, batch=BATCH, trains="all", mixture=data, optimiser=muon
            ),
        ),
        loop=LoopConfig(
            seed=seed,
            micro_batch=BATCH,
            ema=0.99,
            checkpoint_every=200,
            sample_every=steps,
            plot_every=steps,
            keep_last=1,
        ),
        shards=str(shards),
    )


def trained(out: Path, recipe: VideoRecipe, said: str) -> tuple[Callable[[VideoGrid], VideoGrid], float]:
    """Train an arm, or go on with it, or find it finished. Returns the generator and the minutes it trained."""
    device = torch.device("cpu")
    with progress_bar(said) as progress:
        settings = RunSettings(out=out, resume=(out / "manifest.json").exists())
        counters = train(VideoTask(recipe, device), recipe, settings, Processes(0, 1, device), progress=progress)
    return completion(str(out / "model"), SAMPLING_STEPS, {}), counters.seconds / 60


def completion(model: str, steps: int, changes: Mapping[str, Any]) -> Callable[[VideoGrid], VideoGrid]:
    generator = ViewTimeGenerator.from_pretrained(model, **changes)
    settings = GenerationSettings(steps=steps, text_guidance=1.0, device="cpu")
    return lambda grid: generate(generator, grid, settings=settings)


def measured(
    out: Path, name: str, weights: Path, complete: Callable[[VideoGrid], VideoGrid], held_out: WorldConfig
) -> Evaluation:
    # By its weights: an arm that was measured half-trained is another one.
    identity = {"arm": str(out), "weights": hash_path(weights)}
    models = Models(name=name, identity=identity, complete=complete, baselines=("copy-view", "change-add"))
    with progress_bar(f"measure {name}") as progress:
        return evaluate(worlds(held_out, models, Extent(perceptual=False)), out / "worlds", progress=progress)


def make_shards(folder: Path, share: tuple[float, float, float, float]) -> Path:
    """Samples of a mixture, made once for all arms that train on it."""
    if not folder.exists():
        mixture = MixtureConfig(worlds=WorldConfig(**SHAPE, photo_textures=True), shares=share, seed=77)
        with progress_bar("samples") as progress:
            partial = folder.with_name(folder.name + ".partial")
            write_shards(partial, GridMixture(mixture), SAMPLES, per_shard=50, progress=progress)
        partial.rename(folder)
    return folder


def run_study(study: str, arms: Arms, out: Path, seeds: list[int], steps: int, model: str) -> dict[str, Any]:
    """Every arm's figures: means over scenes and seeds, and the paired difference to the first arm."""
    found: dict[str, dict[str, list[torch.Tensor]]] = {}
    minutes: dict[str, float] = {}
    for name, arm in arms.items():
        found[name] = {metric: [] for metric in METRICS}
        for seed in [0] if study == "settings" else seeds:
            folder = out / study / f"{name.replace(' ', '-').replace(',', '')}-seed{seed}"
            if study == "settings":
                complete, held_out = completion(model, arm["steps"], arm.get("changes", {})), own_worlds(model)
                minutes[name] = 0.0
            else:
                shares = arm.get("shares", SHARES)
                shards = make_shards(out / ("shards-" + "-".join(f"{part:g}" for part in shares)), shares)
                recipe = ablation_recipe(arm, seed, steps, shards)
                complete, minutes[name] = trained(folder, recipe, f"{name}, seed {seed}")
                held_out = WorldConfig(**SHAPE)
            weights = find_model_folder(model) if study == "settings" else folder / "model"
            result = measured(folder, name, weights, complete, held_out)
            for metric in METRICS:
                scenes = result.per_scene[name]
                found[name][metric].append(torch.tensor([scenes[scene][metric] for scene in scenes]))
            for baseline in ("copy-view", "change-add"):
                found.setdefault(baseline, {metric: [] for metric in METRICS})
                for metric in METRICS:
                    values = result.per_scene[baseline]
                    if not found[baseline][metric]:
                        found[baseline][metric].append(torch.tensor([values[scene][metric] for scene in values]))
    return {"study": study, "seeds": seeds, "steps": steps, "minutes": minutes, "rows": table(found)}


def own_worlds(model: str) -> WorldConfig:
    """Held-out worlds of the size a shipped model was trained at."""
    size = ViewTimeGenerator.from_pretrained(model).training_size
    return WorldConfig(**(SHAPE if size is None else vars(size)))


def table(found: Mapping[str, Mapping[str, list[torch.Tensor]]]) -> dict[str, dict[str, Any]]:
    """Means of every seed, and the difference to the first arm over scenes, with its interval."""
    first = next(iter(found))
    rows: dict[str, dict[str, Any]] = {}
    for name, metrics in found.items():
        rows[name] = {}
        for metric, values in metrics.items():
            ours, theirs = (torch.stack(each).mean(0) for each in (values, found[first][metric]))
            both = ~(ours.isnan() | theirs.isnan())
            difference = paired_difference(ours[both], theirs[both])
            rows[name][metric] = {
                "seeds": [float(value.nanmean()) for value in values],
                "mean": float(torch.stack(values).nanmean()),
                "difference": difference.value,
                "interval": spread(difference),
            }
    return rows


def spread(score: Measured | NotComputed) -> list[float] | None:
    if isinstance(score, NotComputed) or score.interval is None:
        return None
    return list(score.interval)


def markdown(result: Mapping[str, Any]) -> str:
    """The table as docs/results.md has it."""
    lines = [
        f"| {result['study']} | " + " | ".join(METRICS) + " | PSNR (moving) against the first arm | minutes |",
        "|---|" + "---|" * (len(METRICS) + 2),
    ]
    for name, row in result["rows"].items():
        means = " | ".join(
            f"{row[m]['mean']:.{3 if m == 'SSIM' else 2}f}"
            + (f" ({' / '.join(f'{seed:.2f}' for seed in row[m]['seeds'])})" if len(row[m]["seeds"]) > 1 else "")
            for m in METRICS
        )
        moving = row["PSNR (moving)"]
        interval = moving["interval"]
        gap = f"{moving['difference']:+.2f}" + (f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else "")
        spent = result["minutes"].get(name)
        lines.append(f"| {name} | {means} | {gap} | {'' if spent is None else f'{spent:.1f}'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", choices=list(STUDIES), required=True)
    parser.add_argument("--arms", nargs="+", help="some of the study's arms; the first one is compared with")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--model", default="mini", help="for settings: the trained model to ask")
    given = parser.parse_args()
    arms = {name: STUDIES[given.study][name] for name in given.arms or STUDIES[given.study]}
    result = run_study(given.study, arms, given.out, given.seeds, given.steps, given.model)
    with atomic_file(given.out / f"{given.study}.json") as partial:
        partial.write_text(json.dumps(result, indent=2) + "\n")
    print(markdown(result))


if __name__ == "__main__":
    main()
