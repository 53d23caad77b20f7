"""What single pixels of the references tell the gates."""

import pytest
import torch
from torch import Tensor

from fourreal.core.errors import InputError
from fourreal.core.grid import known_pattern
from fourreal.video.codec import PixelTubelets
from fourreal.video.reference_gate import (
    CLEAR,
    CUES,
    NEAR,
    CueWeights,
    add_cues,
    mix_references,
    pixel_cues,
    reference_values,
)
from fourreal.video.transformer import ViewTimeTransformer
from fourreal.video.tubelet_pixels import to_latents, to_pixels

TUBELET = (2, 4)
CODEC = PixelTubelets(*TUBELET)


def own_model(**changes) -> ViewTimeTransformer:
    torch.manual_seed(0)
    same = {"in_channels": CODEC.channels, "out_channels": CODEC.channels, "patch_size": (1, 1, 1), "gate": True}
    return ViewTimeTransformer.tiny(**(same | {"prediction": "sample", "tubelet": TUBELET} | changes))


def say(model: ViewTimeTransformer, latents: Tensor, references: Tensor, known: Tensor) -> Tensor:
    text = torch.zeros(len(latents), 2, model.config["text_dim"])
    return model(latents, torch.full((len(latents),), 500.0), text, references, known)


def signs_by_hand(frames: Tensor, known: Tensor) -> Tensor:
    """For a cross, pixel by pixel, of frames in [0, 1]: S V T H W."""
    views, times, _, height, width = frames.shape
    found = torch.zeros(len(CUES), views, times, height, width)
    for v in range(views):
        for t in range(times):
            own = t if v == 0 else 0
            across = 0 if v == 0 or t > 0 else v
            change = 2 * (frames[across, t] - frames[across, own]).abs().mean(0)
            differs = 2 * (frames[v, own] - frames[across, t]).abs().mean(0)
            differed = 2 * (frames[v, own] - frames[across, own]).abs().mean(0)
            for y in range(height):
                for x in range(width):
                    rows = slice(max(0, y - NEAR), y + NEAR + 1)
                    near = change[rows, max(0, x - NEAR) : x + NEAR + 1].max()
                    for sign, value in enumerate((near, change[y, x], differs[y, x], differed[y, x])):
                        found[sign, v, t, y, x] = 1 - 2 * min(float(value) / CLEAR, 1.0)
    return found


def test_pixels_and_latents_are_each_others_inverse():
    latents = torch.randn(2, 3, CODEC.channels, 2, 3, 4)
    pixels = to_pixels(latents, TUBELET)
    assert pixels.shape == (6, 4, 3, 12, 16)
    assert torch.equal(to_latents(pixels, latents, TUBELET), latents)
    frames = torch.rand(2, 5, 3, 12, 16)
    assert torch.equal(to_pixels(CODEC.encode(frames), TUBELET)[:, 1:], frames * 2 - 1)


def test_signs_are_those_found_by_hand():
    torch.manual_seed(0)
    frames = 0.5 + 0.1 * torch.rand(3, 5, 3, 8, 12)
    latents = CODEC.encode(frames)[None]
    cues = pixel_cues(reference_values(latents, known_pattern("cross", 3, 3)[None]), TUBELET)
    expected = signs_by_hand(frames, known_pattern("cross", 3, 5))
    for sign, name in enumerate(CUES):
        pixels = to_pixels(cues[sign], TUBELET)
        assert torch.equal(pixels[:, :, 0], pixels[:, :, 2]), "one sign for all colours"
        torch.testing.assert_close(pixels[1:, 2:, 0], expected[sign, 1:, 1:], atol=1e-5, rtol=0, msg=name)


def test_what_cannot_be_told_is_neither_yes_nor_no():
    latents = torch.randn(1, 3, CODEC.channels, 2, 3, 4)
    column = pixel_cues(reference_values(latents, known_pattern("column", 3, 2)[None]), TUBELET)
    assert bool((column[:, :, :, :, 1] == 0).all())
    assert bool((pixel_cues(reference_values(latents, known_pattern("none", 3, 2)[None]), TUBELET) == 0).all())


def test_a_new_model_keeps_what_stands_still():
    frames = torch.rand(3, 1, 3, 8, 12).expand(3, 5, 3, 8, 12).clone()
    frames[:, 3:, :, 2:4, 2:4] += 0.5
    latents = CODEC.encode(frames)[None]
    values = reference_values(latents, known_pattern("cross", 3, 3)[None])
    weights = CueWeights(8)(torch.randn(1, 3 * 3 * 2 * 3, 8), 3, 3, 2)
    first = [torch.full_like(latents, logit) for logit in (3.0, 0.0, -3.0)]
    with torch.no_grad():
        made = mix_references(torch.zeros_like(latents), add_cues(first, weights, pixel_cues(values, TUBELET)), values)
    pixels, truth = to_pixels(made, TUBELET)[1:, 4], to_pixels(values.own, TUBELET)[1:, 4]
    assert float((pixels - truth)[..., 6:].abs().max()) < 0.05, "far from what changes"
    assert float((pixels - truth)[..., 2:4, 2:4].abs().min(1).values.max()) > 0.2, "where it changes"


def test_cues_move_gates_by_their_weights():
    gates = [torch.zeros(1, 1, 2, 1, 1, 1) for _ in range(3)]
    weights = torch.arange(12.0).reshape(3, 4, 1, 1, 1, 1, 1, 1)
    cues = torch.tensor([1.0, -1.0, 0.5, 0.0]).reshape(4, 1, 1, 1, 1, 1, 1).expand(4, 1, 1, 2, 1, 1, 1)
    heard = [float(gate[0, 0, 0, 0, 0, 0]) for gate in add_cues(gates, weights, cues)]
    assert heard == [0.0 - 1 + 1, 4 - 5 + 3, 8 - 9 + 5]


def test_gradients_reach_the_weights():
    model = own_model()
    latents = torch.randn(1, 3, CODEC.channels, 2, 3, 4)
    references, known = torch.randn_like(latents), known_pattern("cross", 3, 2)[None]
    say(model, latents, references, known).square().mean().backward()
    assert model.cue_weights is not None
    grad = model.cue_weights.weights.weight.grad
    assert grad is not None
    assert bool((grad.abs().sum(1) > 0).any())


def test_a_folder_without_weights_gets_new_ones(tmp_path):
    own_model(tubelet=None).save_pretrained(tmp_path)
    model = ViewTimeTransformer.from_pretrained(tmp_path, tubelet=TUBELET)
    assert bool(model.cue_weights.weights.bias.any())


@pytest.mark.parametrize("changes", [{"gate": False}, {"tubelet": (4, 4)}, {"patch_size": (1, 2, 2)}])
def test_pixels_that_cannot_be_told_are_refused(changes):
    with pytest.raises(InputError, match="tubelet"):
        own_model(**changes)
