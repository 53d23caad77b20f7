"""The training loop, one for every model: samples in, steps, checkpoints, pictures, and a clean stop.

A run stopped at any moment goes on from its last checkpoint with the samples, noise and rates it would have
had, and ends in the same weights. Stages change what is trained, the data and the optimiser, never the model.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked
from fourreal.core.progress import Progress, silent
from fourreal.train.checkpoint import Checkpoint, Counters, latest_checkpoint, save_checkpoint
from fourreal.train.dataloader import MicroBatch, feed, own_indices
from fourreal.train.log import RunLog, plot_log
from fourreal.train.optimiser import Optimisers, RunningAverage, build_optimisers, lr_scale
from fourreal.train.parallel import Processes, fill, shard, whole
from fourreal.train.recipe import Recipe, stage_at, total_steps
from fourreal.train.run_folder import check_extras, check_folder, write_manifest
from fourreal.train.settings import RunSettings
from fourreal.train.task import SheetWriter, Task

MOST_SKIPPED = 0.01
SKIPS_ALLOWED = 3


def train(
    task: Task,
    recipe: Recipe,
    settings: RunSettings,
    processes: Processes,
    *,
    write_sheet: SheetWriter | None = None,
    progress: Progress = silent,
) -> Counters:
    """Train until the end of the recipe or of the settings' steps or minutes, or until a signal.

    SIGTERM and an interrupt end the step, write a checkpoint and return.

    Args:
        write_sheet: draws contact sheets; none are drawn when left out.

    Returns:
        Where the run stands.

    Raises:
        InputError: the folder holds another run or is in use, a package is missing, more than 1 % of the steps were
            not finite, or the recipe does not fit the number of processes.
    """
    check_extras(recipe, processes.device)
    if processes.leads:
        with locked(settings.out):
            check_folder(settings.out, recipe, resume=settings.resume)
            write_manifest(settings.out, recipe, processes.count, processes.device)
            processes.wait()
            return _Run(task, recipe, settings, processes, write_sheet, progress).go()
    processes.wait()
    return _Run(task, recipe, settings, processes, write_sheet, progress).go()


class _Run:
    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        settings: RunSettings,
        processes: Processes,
        write_sheet: SheetWriter | None,
        progress: Progress,
    ) -> None:
        self.task, self.recipe, self.settings, self.processes = task, recipe, settings, processes
        self.write_sheet, self.progress = write_sheet, progress
        task.model.to(processes.device)
        if processes.count > 1:
            # FSDP2 fixes at its first step what has gradients, so what any stage trains has them in all.
            ever = {name for stage in range(len(recipe.stages)) for name in task.trainable(stage)}
            for name, parameter in task.model.named_parameters():
                parameter.requires_grad_(name in ever)
            shard(task.model, task.blocks(), processes)
        found = latest_checkpoint(settings.out) if settings.resume else None
        self.counters = found.counters if found else Counters()
        self.log = RunLog(settings.out, self.counters.step) if processes.leads else None
        self.sums: dict[str, list[Tensor]] = defaultdict(list)
        # A checkpoint at the very end of a stage still holds that stage's average and optimiser.
        self.stage, _ = stage_at(recipe, max(0, self.counters.step - 1))
        self.trained, self.optimisers, self.average = self._begin_stage(self.stage)
        if found:
            self._restore(found)

    # ---- stages and state ---------------------------------------------------------------------

    def _begin_stage(self, stage: int) -> tuple[dict[str, nn.Parameter], Optimisers, RunningAverage]:
        trained = self.task.trainable(stage)
        if self.processes.count == 1:
            for name, parameter in self.task.model.named_parameters():
                parameter.requires_grad_(name in trained)
        optimisers = build_optimisers(trained, self.recipe.stages[stage].optimiser)
        return trained, optimisers, RunningAverage(trained, self.recipe.loop.ema)

    def _next_stage(self) -> None:
        """Leave a stage with its averaged weights, which the next one builds on."""
        with torch.no_grad():
            for name, value in self.average.values.items():
                self.trained[name].copy_(value)
        self._export()
        self.stage += 1
        self.counters.averaged = 0
        self.trained, self.optimisers, self.average = self._begin_stage(self.stage)

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint holds."""
        found = {f"model/{name}": p.detach() for name, p in self.task.stored().items()}
        found |= {f"average/{name}": value for name, value in self.average.values.items()}
        return found | {f"optimiser/{name}": value for name, value in self.optimisers.tensors().items()}

    def _restore(self, found: Checkpoint) -> None:
        for name, parameter in self.task.stored().items():
            fill(parameter.detach(), found.read(f"model/{name}"))
        for name, value in self.average.values.items():
            fill(value, found.read(f"average/{name}"))
        self.average.updates = self.counters.averaged
        stored = set(found.names("optimiser/"))
        for part in self.optimisers.parts:
            for parameter in itertools.chain.from_iterable(group["params"] for group in part.param_groups):
                name = self.optimisers.names[parameter]
                for key in ("momentum", "step", "exp_avg", "exp_avg_sq"):
                    if f"{name}/{key}" not in stored:
                        continue
                    value = found.read(f"optimiser/{name}/{key}")
                    # AdamW counts its steps in a plain scalar on the CPU.
                    kept = value if key == "step" else torch.zeros_like(parameter)
                    if key != "step":
                        fill(kept, value)
                    part.state[parameter][key] = kept

    def _save(self) -> None:
        loop = self.recipe.loop
        self.counters.averaged = self.average.updates
        save_checkpoint(
            self.settings.out,
            self.counters,
            self.tensors(),
            self.processes,
            keep_last=loop.keep_last,
            piece_mb=loop.piece_mb,
        )

    # ---- the loop -----------------------------------------------------------------------------

    def go(self) -> Counters:
        end = total_steps(self.recipe)
        last = end if self.settings.steps is None else min(end, self.settings.steps)
        began, before = time.monotonic(), self.counters.seconds
        saved_at, shown_at = self.counters.step, -1
        with _stop_requests() as requested:
            while self.counters.step < last:
                if stage_at(self.recipe, self.counters.step)[0] != self.stage:
                    self._next_stage()
                stopped = False
                for step, batches in self._samples(last):
                    self._step(step, batches)
                    self.counters.seconds = before + time.monotonic() - began
                    self._report(last)
                    done = self.counters.step
                    if done % self.recipe.loop.checkpoint_every == 0:
                        self._save()
                        saved_at = done
                    if done % self.recipe.loop.sample_every == 0:
                        self._show()
                        shown_at = done
                    stopped = self.processes.agree(bool(requested) or self._out_of_time(began))
                    if stopped:
                        break
                if stopped:
                    break
        self._log()
        if saved_at != self.counters.step:
            self._save()
        if shown_at != self.counters.step:
            self._show()
        self._finish()
        return self.counters

    def _samples(self, last: int) -> Iterator[tuple[int, list[MicroBatch]]]:
        """The rest of this stage's steps, by their number within it."""
        stage = self.recipe.stages[self.stage]
        _, first = stage_at(self.recipe, self.counters.step)
        steps = range(first, min(stage.steps, first + last - self.counters.step))
        indices = own_indices(stage.batch, self.recipe.loop.micro_batch, self.processes)
        samples = feed(self.task.mixture(self.stage), steps, indices, self.processes.device, self.settings.workers)
        return zip(steps, samples, strict=True)

    def _step(self, step: int, batches: list[MicroBatch]) -> None:
        stage, loop = self.recipe.stages[self.stage], self.recipe.loop
        torch.manual_seed((loop.seed << 32) + self.counters.step)  # for anything that draws on its own
        self.task.model.train()
        self.optimisers.zero_grad()
        totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.processes.device))
        for batch in batches:
            with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=loop.precision == "bfloat16"):
                losses = self.task.losses(batch.samples, self.stage, step, batch.indices)
            (losses["loss"] / len(batches)).backward()
            self._drop_other_gradients()
            for name, value in losses.items():
                totals[name] = totals[name] + value.detach() / len(batches)
        norm = nn.utils.clip_grad_norm_(list(self.trained.values()), stage.optimiser.clip)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        self.counters.step += 1
        if bool(torch.isfinite(norm)):
            self.optimisers.set_lr(lr_scale(stage.optimiser, step, stage.steps))
            self.optimisers.step()
            self.average.update(self.trained)
            for name, value in totals.items():
                self.sums[name].append(self.processes.mean(value))
            self.sums["gradient_norm"].append(norm)
        else:
            self._skip()

    def _drop_other_gradients(self) -> None:
        """Free those of what this stage does not train, which a sharded model computes for the sake of other stages."""
        if self.processes.count > 1:
            for name, parameter in self.task.model.named_parameters():
                if name not in self.trained:
                    parameter.grad = None

    def _skip(self) -> None:
        """A step that is not finite changes nothing; many mean that the run is broken."""
        self.counters.skipped += 1
        skipped, done = self.counters.skipped, self.counters.step
        if skipped > max(SKIPS_ALLOWED, MOST_SKIPPED * done):
            raise InputError(
                f"{skipped} of {done} steps gave NaN or infinity, more than 1 %; the learning rate is too high or "
                "the data are damaged: lower it, or resume from an older checkpoint"
            )

    def _out_of_time(self, began: float) -> bool:
        return self.settings.minutes is not None and time.monotonic() - began >= 60 * self.settings.minutes

    # ---- what can be seen ---------------------------------------------------------------------

    def _report(self, last: int) -> None:
        done, loop = self.counters.step, self.recipe.loop
        if self.processes.leads:
            self.progress(done, last)
        if done % loop.log_every == 0:
            self._log()
        if done % loop.plot_every == 0 and self.processes.leads:
            plot_log(self.settings.out)

    def _log(self) -> None:
        """One line with the means since the line before."""
        if self.log is not None and self.sums:
            stage, (_, within) = self.recipe.stages[self.stage], stage_at(self.recipe, self.counters.step - 1)
            values = {name: float(torch.stack(found).mean()) for name, found in self.sums.items()}
            values["lr_scale"] = lr_scale(stage.optimiser, within, stage.steps)
            values["seconds"], values["skipped"] = self.counters.seconds, float(self.counters.skipped)
            self.log.write(self.counters.step, stage.name, values)
        self.sums.clear()

    def _show(self) -> None:
        """Try the averaged weights on held-out worlds. All processes take part, rank 0 writes."""
        folder = self.settings.out / "samples" / f"step-{self.counters.step:08d}" if self.processes.leads else None
        self.task.model.eval()
        with self.average.in_place(self.trained), torch.no_grad():
            figures = self.task.show(self.stage, folder, self.write_sheet)
        if self.log is not None and figures:
            self.log.write(self.counters.step, self.recipe.stages[self.stage].name, figures)

    def _finish(self) -> None:
        """Plots, and the averaged weights for use."""
        if self.processes.leads:
            plot_log(self.settings.out)
        with self.average.in_place(self.trained):
            self._export()

    def _export(self) -> None:
        """All processes gather the weights, rank 0 writes them."""
        weights = {name: whole(value) for name, value in self.task.model.state_dict().items()}
        if self.processes.leads:
            self.task.export(self.stage, self.settings.out, self.counters.step, weights)
        self.processes.wait()


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT instead of dying; a second interrupt is an interrupt again."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not in the main thread: signals are someone else's
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
