"""FourDPipeline: text or videos to a complete view-time grid, and the grid to Gaussians for every time.

Source: 4Real-Video-V2, Figure 1 ("Our two-stage 4D generation pipeline").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourreal.core.devices import resolve_device
from fourreal.core.errors import InputError
from fourreal.core.gaussians import GaussianSequence
from fourreal.core.grid import VideoGrid
from fourreal.core.notes import notify
from fourreal.core.progress import Progress, silent
from fourreal.data.footage import ImportedGrid
from fourreal.data.model_input import NO_WISH, Footage, GridWish, UsualGrid, model_input
from fourreal.recon.model import ReconModel
from fourreal.recon.reconstruct import ReconstructSettings, reconstruct
from fourreal.recon.weights import find_model
from fourreal.video.extend import extend
from fourreal.video.generation_settings import GenerationSettings
from fourreal.video.generator import ViewTimeGenerator, WeightType
from fourreal.video.plan import GridSize
from fourreal.video.text_to_grid import text_to_grid
from fourreal.video.training_size import TrainingSize

PAPER_GRID = UsualGrid(views=8, frames=29, size=(288, 512), fps=16.0)
"""What a model that does not say is taken to be used to. Source: 4Real-Video-V2, appendix B."""

RECONSTRUCTION = ReconstructSettings(align="auto")
"""How a grid is reconstructed unless told otherwise."""


@dataclass(frozen=True)
class FourDPipeline:
    """Both networks, and the way from footage to a scene.

        pipe = FourDPipeline.from_pretrained("mini")
        grid = pipe(fixed="clip.mp4", freeze="orbit.mp4")
        scene = pipe.reconstruct(grid)

    Attributes:
        generator: completes grids; None when only reconstruction is wanted.
        reconstructor: makes Gaussians; None when only grids are wanted.
        base: another model for the two single videos of a prompt alone.
        device: where both compute.
    """

    generator: ViewTimeGenerator | None
    reconstructor: ReconModel | None
    base: ViewTimeGenerator | None = None
    device: str = "auto"

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = "mini",
        *,
        recon: str | Path | None = "mini",
        delta: str | Path | None = None,
        base: str | Path | None = None,
        weight_type: WeightType = "float32",
        device: str = "auto",
    ) -> FourDPipeline:
        """Load the networks.

        Args:
            model: the generator: `mini`, a folder, a released name such as `wan2.1-1.3b`, or a hub id.
            recon: the reconstruction network: `mini`, `vggt-1b`, or a folder.
            delta: view-time weights to lay over the generator.
            base: another generator for the two single videos of a prompt alone.
            weight_type: number format of the generators' weights.

        Raises:
            InputError: weights are missing, damaged or were never trained; the message says what to do.
        """
        resolve_device(device)
        generator = None
        if model is not None:
            generator = ViewTimeGenerator.from_pretrained(model, delta=delta, weight_type=weight_type)
        first = None if base is None else ViewTimeGenerator.from_pretrained(base, weight_type=weight_type)
        reconstructor = None
        if recon is not None:
            loaded = find_model(str(recon))
            if not loaded.trained:
                raise InputError(f"the reconstruction model '{recon}' was never trained; train it, or give another")
            reconstructor = loaded.model
        return cls(generator, reconstructor, first, device)

    def __call__(
        self,
        fixed: Footage | None = None,
        freeze: Footage | None = None,
        prompt: str = "",
        *,
        views: int | None = None,
        frames: int | None = None,
        steps: int = 16,
        seed: int = 0,
        progress: Progress = silent,
    ) -> VideoGrid:
        """A complete grid from a fixed-view video, a freeze-time video, a prompt, or any of them together.

        Args:
            fixed: seen by a camera that stands still; the first row.
            freeze: goes round a moment that stands still; the first column. Its first frame is `fixed`'s.
            prompt: what the scene shows.
            views, frames: size of the grid; the model's own and as much as the footage has, when left out.
            steps: sampling steps.
            seed: same seed, same grid, on one machine.

        Raises:
            InputError: nothing is given, or as `prepare` and `complete` do.
        """
        wish = GridWish(views, frames)
        settings = GenerationSettings(steps=steps, seed=seed, device=self.device)
        if fixed is None and freeze is None:
            return self.imagine(prompt, wish, settings=settings, progress=progress)
        imported = self.prepare(fixed, freeze, wish)
        return self.complete(imported.grid, prompt, settings=settings, progress=progress)

    def prepare(self, fixed: Footage | None, freeze: Footage | None, wish: GridWish = NO_WISH) -> ImportedGrid:
        """What the generator will see of the footage: a partly known grid. Raises InputError as `model_input`."""
        return model_input(fixed, freeze, usual_grid(self._generator().training_size), wish)

    def complete(
        self,
        grid: VideoGrid,
        prompt: str = "",
        *,
        settings: GenerationSettings | None = None,
        progress: Progress = silent,
    ) -> VideoGrid:
        """Fill in what is not known of a grid, whichever cells that is; known cells stay bit for bit.

        Raises:
            InputError: as `extend`.
        """
        if bool(grid.known.all()):
            return grid
        generator = self._generator()
        if prompt.strip() and not generator.text_encoder.reads_text:
            notify("this model reads no text: the prompt is kept as a caption and changes nothing in the pictures")
            prompt = ""
        settings = settings or GenerationSettings(device=self.device)
        return extend(generator, grid, prompt, settings=settings, progress=progress)

    def imagine(
        self,
        prompt: str,
        wish: GridWish = NO_WISH,
        *,
        settings: GenerationSettings | None = None,
        progress: Progress = silent,
    ) -> VideoGrid:
        """A complete grid from words alone.

        Raises:
            InputError: no words, a model that reads none, or as `text_to_grid`.
        """
        if not prompt.strip():
            raise InputError("give a fixed-view video, a freeze-time video, a prompt, or several of them; got none")
        generator = self._generator()
        if not (self.base or generator).text_encoder.reads_text:
            raise InputError(
                "this model reads no text, so a prompt alone gives it nothing to start from; give it a fixed-view or "
                "freeze-time video, or choose a model with a text encoder"
            )
        usual = usual_grid(generator.training_size)
        size = GridSize(wish.views or usual.views, wish.frames or usual.frames, *(wish.size or usual.size))
        settings = settings or GenerationSettings(device=self.device)
        fps = wish.fps or usual.fps
        return text_to_grid(generator, prompt, size, fps=fps, base=self.base, settings=settings, progress=progress)

    def reconstruct(
        self,
        grid: VideoGrid,
        *,
        settings: ReconstructSettings | None = None,
        progress: Progress = silent,
    ) -> GaussianSequence:
        """Gaussians for every time of a complete grid, and a camera for each of its views.

        Raises:
            InputError: as `recon.reconstruct.reconstruct`.
        """
        if self.reconstructor is None:
            raise InputError("this pipeline was loaded without a reconstruction model; load it with recon=...")
        model = self.reconstructor.to(resolve_device(self.device))
        return reconstruct(model, grid, settings or RECONSTRUCTION, progress)

    def _generator(self) -> ViewTimeGenerator:
        if self.generator is None:
            raise InputError("this pipeline was loaded without a generator; load it with model=...")
        return self.generator


def usual_grid(trained: TrainingSize | None) -> UsualGrid:
    """The grid a generator is used to, from what its weights say."""
    if trained is None:
        return PAPER_GRID
    return UsualGrid(trained.views, trained.frames, trained.image_size, trained.fps)
