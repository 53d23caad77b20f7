"""Table 8 of 4Real-Video-V2 at our scale: camera token replacement and temporal attention, each left out.

    python benchmarks/ablations/recon.py --start runs/still/model --out runs/ablations-recon

All arms start from one network that has learnt still scenes (`--start`, a model folder), where temporal layers do
nothing yet and replacing camera tokens has no parameters, so the start is the same for all. Then every arm trains on
the same moving samples for the same number of steps. Figures are those of `fourreal evaluate worlds-recon` on held-out
worlds, and the jitter: by how much a view's camera turns between consecutive times, in degrees.

Source: 4Real-Video-V2, section 4.2 and Table 8.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fourreal.cli.evaluated_models import find_reconstructor
from fourreal.core.atomic import atomic_file
from fourreal.core.progress import progress_bar
from fourreal.core.rotations import rotation_angle_deg
from fourreal.data.worlds import HELD_OUT_SEEDS, WorldConfig
from fourreal.eval.protocols.evaluate import evaluate
from fourreal.eval.protocols.protocol import Extent
from fourreal.eval.protocols.worlds import INPUT_VIEWS, RECON_FPS, RECON_FRAMES, held_out_sample, worlds_recon
from fourreal.eval.scores import mean_score, paired_difference
from fourreal.recon.model import ReconModel
from fourreal.recon.weights import load_model
from fourreal.train.loop import train
from fourreal.train.parallel import Processes
from fourreal.train.recipe import ReconRecipe
from fourreal.train.recon_recipes import RECON_RECIPES
from fourreal.train.recon_task import ReconTask
from fourreal.train.settings import RunSettings

ARMS: Mapping[str, Mapping[str, Any]] = {
    "ours": {},
    "without token replacement": {"share_cameras": False},
    "without temporal attention": {"temporal": "none"},
}
METRICS = ("PSNR", "SSIM", "rotation error", "depth AbsRel")


def arm_recipe(changes: Mapping[str, Any], start: ReconModel, steps: int, seed: int) -> ReconRecipe:
    """The last stage of `mini` on the arm's network."""
    mini = RECON_RECIPES["mini"]()
    assert isinstance(mini, ReconRecipe)
    last = mini.stages[-1]
    loop = replace(mini.loop, seed=seed, sample_every=steps, plot_every=steps, checkpoint_every=50, keep_last=1)
    return replace(
        mini,
        name="ablation",
        model=replace(start.config, **changes),
        stages=(replace(last, steps=steps, optimiser=replace(last.optimiser, warmup=10)),),
        loop=loop,
    )


def trained(recipe: ReconRecipe, start: ReconModel, out: Path, name: str) -> float:
    """Train an arm, or go on with it, or find it finished. Returns its minutes."""
    device = torch.device("cpu")
    task = ReconTask(recipe, device)
    wanted = task.model.state_dict()
    task.model.load_state_dict({key: value for key, value in start.state_dict().items() if key in wanted})
    with progress_bar(name) as progress:
        settings = RunSettings(out=out, resume=(out / "manifest.json").exists())
        return train(task, recipe, settings, Processes(0, 1, device), progress=progress).seconds / 60


@torch.no_grad()
def jitter_deg(folder: Path, held_out: WorldConfig, scenes: int) -> list[float]:
    """Mean turn of a view's predicted camera from one time to the next, over held-out worlds."""
    model = load_model(folder).model.eval()
    found = []
    for scene in range(scenes):
        frames = held_out_sample(held_out, scene).grid.frames[list(INPUT_VIEWS)]
        rotations = model(frames[None], with_gaussians=False).cameras.world_to_cam[0, :, :, :3, :3]
        found.append(float(rotation_angle_deg(rotations[:, 1:], rotations[:, :-1]).mean()))
    return found


def measured(name: str, folder: Path, held_out: WorldConfig, scenes: int) -> dict[str, torch.Tensor]:
    models = replace(find_reconstructor(str(folder / "model"), device="cpu"), name=name)
    with progress_bar(f"measure {name}") as progress:
        result = evaluate(
            worlds_recon(held_out, models, Extent(scenes=scenes, perceptual=False)),
            folder / "worlds",
            progress=progress,
        )
    values = result.per_scene[name]
    return {metric: torch.tensor([values[scene][metric] for scene in values]) for metric in METRICS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="model folder, trained on still scenes")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations-recon"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = load_model(given.start).model
    worlds = RECON_RECIPES["mini"]().stages[-1].mixture.worlds
    held_out = replace(worlds, frames=RECON_FRAMES, fps=RECON_FPS, photo_textures=False, antialias=True)
    rows: dict[str, Any] = {}
    first: dict[str, torch.Tensor] = {}
    for name, changes in ARMS.items():
        folder = given.out / name.replace(" ", "-")
        minutes = trained(arm_recipe(changes, start, given.steps, given.seed), start, folder, name)
        values = measured(name, folder, held_out, given.scenes)
        values["jitter"] = torch.tensor(jitter_deg(folder / "model", held_out, given.scenes))
        first = first or values
        rows[name] = {"minutes": minutes}
        for metric, each in values.items():
            score, gap = mean_score(each.tolist()), paired_difference(each, first[metric])
            rows[name][metric] = {"mean": getattr(score, "value", None), "difference": gap.value}
            if gap.interval is not None:
                rows[name][metric]["interval"] = list(gap.interval)
    result = {"steps": given.steps, "scenes": given.scenes, "first_seed": HELD_OUT_SEEDS, "rows": rows}
    with atomic_file(given.out / "table8.json") as partial:
        partial.write_text(json.dumps(result, indent=2) + "\n")
    names = (*METRICS, "jitter")
    print(
        "| arm | " + " | ".join(names) + " | PSNR against the first arm | minutes |\n|---|" + "---|" * (len(names) + 2)
    )
    for name, row in rows.items():
        gap, (low, high) = row["PSNR"]["difference"], row["PSNR"].get("interval", (0.0, 0.0))
        cells = " | ".join(f"{row[metric]['mean']:.3f}" for metric in names)
        print(f"| {name} | {cells} | {gap:+.2f} [{low:+.2f}, {high:+.2f}] | {row['minutes']:.1f} |")


if __name__ == "__main__":
    main()
