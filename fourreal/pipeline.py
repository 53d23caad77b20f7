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
from fourreal.core.grid_shape import GridShape
from fourreal.core.notes import notify
from fourreal.core.progress import Progress, silent
from fourreal.core.shipped import SHIPPED_NAME
from fourreal.data.footage import ImportedGrid
from fourreal.data.grid_wish import NO_WISH, GridWish
from fourreal.data.model_input import Footage, model_input
from fourreal.recon.frame_size import with_frame_size
from fourreal.recon.model import ReconModel
from fourreal.recon.reconstruct import reconstruct
from fourreal.recon.settings import ReconstructSettings
from fourreal.recon.weights import find_model
from fourreal.video.generate import generate, spec_of
from fourreal.video.generator import ViewTimeGenerator, read_training_size
from fourreal.video.model_folder import find_model_folder
from fourreal.video.model_shape import named_shape
from fourreal.video.one_sided import repeated
from fourreal.video.plan import choose_weight_type
from fourreal.video.settings import DEFAULTS, WEIGHT_TYPE, GenerationSettings, Offload, WeightChoice
from fourreal.video.text_to_grid import text_to_grid
from fourreal.video.windows import WindowSize

PAPER_GRID = GridShape(views=8, frames=29, height=288, width=512, fps=16.0)
"""Grid of a model that does not say what it was trained on. Source: 4Real-Video-V2, appendix B."""


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
        offload: what leaves the GPU while it is not in use, where a call's settings do not say.
    """

    generator: ViewTimeGenerator | None
    reconstructor: ReconModel | None
    base: ViewTimeGenerator | None = None
    device: str = "auto"
    offload: Offload = DEFAULTS.offload

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = SHIPPED_NAME,
        *,
        recon: str | Path | None = SHIPPED_NAME,
        delta: str | Path | None = None,
        base: str | Path | None = None,
        weight_type: WeightChoice = WEIGHT_TYPE,
        device: str = "auto",
        offload: Offload = DEFAULTS.offload,
    ) -> FourDPipeline:
        """Load the networks.

        Args:
            model: the generator: `mini`, a folder, a released name such as `wan2.1-1.3b`, or a hub id.
            recon: the reconstruction network: `mini`, `vggt-1b`, or a folder.
            delta: view-time weights to lay over the generator.
            base: another generator for the two single videos of a prompt alone.
            weight_type: number format of the generators' weights; auto takes what fits the device.
            offload: what leaves the GPU while it is not in use.

        Raises:
            InputError: weights are missing, damaged or were never trained; the message says what to do.
        """
        resolve_device(device)
        generator = None if model is None else load_generator(model, delta, weight_type=weight_type, device=device)
        first = None if base is None else load_generator(base, weight_type=weight_type, device=device)
        reconstructor = None
        if recon is not None:
            loaded = find_model(str(recon))
            if not loaded.trained:
                raise InputError(f"the reconstruction model '{recon}' was never trained; train it, or give another")
            reconstructor = loaded.model
        return cls(generator, reconstructor, first, device, offload)

    def __call__(
        self,
        fixed: Footage | None = None,
        freeze: Footage | None = None,
        prompt: str = "",
        *,
        views: int | None = None,
        frames: int | None = None,
        steps: int = DEFAULTS.steps,
        seed: int = DEFAULTS.seed,
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
        settings = GenerationSettings(steps=steps, seed=seed, device=self.device, offload=self.offload)
        if fixed is None and freeze is None:
            return self.imagine(prompt, wish, settings=settings, progress=progress)
        imported = self.prepare(fixed, freeze, wish)
        return self.complete(imported.grid, prompt, settings=settings, progress=progress)

    def prepare(self, fixed: Footage | None, freeze: Footage | None, wish: GridWish = NO_WISH) -> ImportedGrid:
        """The input of the generator: a partly known grid. Raises InputError as `model_input`."""
        return model_input(fixed, freeze, self._generator().training_size or PAPER_GRID, wish)

    def complete(
        self,
        grid: VideoGrid,
        prompt: str = "",
        *,
        window: WindowSize | None = None,
        settings: GenerationSettings | None = None,
        progress: Progress = silent,
    ) -> VideoGrid:
        """Fill in what is not known of a grid, whichever cells that is; known cells stay bit for bit.

        One row or one column alone is repeated where the model is known to do worse, with a note.

        Raises:
            InputError: as `generate`.
        """
        if bool(grid.known.all()):
            return grid
        generator = self._generator()
        if prompt.strip() and not generator.text_encoder.reads_text:
            notify("this model reads no text: the prompt is kept as a caption and changes nothing in the pictures")
            prompt = ""
        copied = repeated(grid) if generator.repeats_one_sided else None
        if copied is not None:
            return copied
        settings = settings or GenerationSettings(device=self.device, offload=self.offload)
        return generate(generator, grid, prompt, window=window, settings=settings, progress=progress)

    def imagine(
        self,
        prompt: str,
        wish: GridWish = NO_WISH,
        *,
        settings: GenerationSettings | None = None,
        progress: Progress = silent,
    ) -> VideoGrid:
        """A complete grid from a prompt alone.

        Raises:
            InputError: no prompt, a model that reads none, or as `text_to_grid`.
        """
        if not prompt.strip():
            raise InputError("give a fixed-view video, a freeze-time video, a prompt, or several of them; got none")
        generator = self._generator()
        if not (self.base or generator).text_encoder.reads_text:
            raise InputError(
                "this model reads no text, so a prompt alone cannot decide the pictures; give it a fixed-view or "
                "freeze-time video, or choose a model with a text encoder"
            )
        shape = wish.shape(generator.training_size or PAPER_GRID)
        settings = settings or GenerationSettings(device=self.device, offload=self.offload)
        return text_to_grid(generator, prompt, shape, base=self.base, settings=settings, progress=progress)

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
        settings = with_frame_size(model, grid, settings or ReconstructSettings())
        return reconstruct(model, grid, settings, progress)

    def _generator(self) -> ViewTimeGenerator:
        if self.generator is None:
            raise InputError("this pipeline was loaded without a generator; load it with model=...")
        return self.generator


def load_generator(
    source: str | Path,
    delta: str | Path | None = None,
    *,
    weight_type: WeightChoice = WEIGHT_TYPE,
    device: str = "auto",
) -> ViewTimeGenerator:
    """A generator in the number format that fits the device, by the plan for grids of its training.

    Raises:
        InputError: as `ViewTimeGenerator.from_pretrained`.
    """
    folder = find_model_folder(source)
    spec = spec_of(GenerationSettings(device=device))
    grid = read_training_size(folder, delta) or PAPER_GRID
    chosen = choose_weight_type(named_shape(str(folder)), grid, spec, weight_type)
    if weight_type == "auto" and chosen != "float32":
        notify(f"the weights of {source} are loaded in {chosen}; another format is asked for with --weight-type")
    return ViewTimeGenerator.from_pretrained(folder, delta=delta, weight_type=chosen)
