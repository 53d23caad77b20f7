"""Adapters of the user's networks: preprocessing, vectors and refusals, on tiny models with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fourreal.core.errors import InputError
from fourreal.perception.clip_features import ClipFeatures
from fourreal.perception.dino_features import DinoFeatures
from fourreal.perception.feature_network import (
    CLIP_MEAN,
    CLIP_STD,
    ImageFeatures,
    VideoFeatures,
    centre_square,
    lengthened,
    resize_short_side,
)
from fourreal.perception.frechet_networks import I3dFeatures, InceptionFeatures, VideoMaeFeatures
from fourreal.perception.needed_weights import MissingWeights, content_hash
from fourreal.perception.random_features import RandomImageFeatures, RandomVideoFeatures

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    text = SMALL | {"vocab_size": 40, "max_position_embeddings": 8, "eos_token_id": 39, "bos_token_id": 38}
    vision = SMALL | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)).save_pretrained(folder)
    characters = [chr(ord("a") + i) for i in range(19)]
    vocabulary = characters + [f"{c}</w>" for c in characters] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 8}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


def test_clip_gives_unit_vectors_of_images_and_sentences(clip_folder: Path) -> None:
    from transformers import CLIPModel

    clip = ClipFeatures(clip_folder)
    frames = torch.rand(3, 3, 40, 56)
    vectors = clip(frames)
    assert isinstance(clip, ImageFeatures)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))
    # The same by the model's own way from pixels to features.
    square = centre_square(resize_short_side(frames, 32, "bicubic"), 32)
    pixels = (square - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]
    model = CLIPModel.from_pretrained(clip_folder).eval()
    with torch.no_grad():
        output = model(input_ids=torch.tensor([[38, 1, 39]]), pixel_values=pixels)
    torch.testing.assert_close(vectors, output.image_embeds, atol=1e-5, rtol=1e-5)
    sentences = clip.sentences(["a b", "a long sentence that is cut off as it has no room"])
    assert sentences.shape == (2, 12)
    torch.testing.assert_close(sentences.norm(dim=-1), torch.ones(2))
    assert not torch.allclose(sentences[0], sentences[1])


def test_clip_scores(clip_folder: Path) -> None:
    from fourreal.eval.pair_metrics import clip_score

    clip = ClipFeatures(clip_folder)
    frames = torch.rand(2, 3, 32, 32)
    cosines = clip(frames) @ clip.sentences(["a dog"])[0]
    torch.testing.assert_close(clip_score(clip, frames, "a dog"), 100 * cosines.clamp(min=0))


def test_dino_gives_unit_class_tokens(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(**SMALL, image_size=32, patch_size=8)).save_pretrained(tmp_path / "dino")
    dino = DinoFeatures(tmp_path / "dino")
    vectors = dino(torch.rand(2, 3, 50, 40))
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
    (tmp_path / "dino" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match="of type 'bert'; expected vit or dinov2"):
        DinoFeatures(tmp_path / "dino")
    with pytest.raises(MissingWeights, match="absent"):
        DinoFeatures(tmp_path / "absent")


def test_videomae_reads_any_length(tmp_path: Path) -> None:
    from transformers import VideoMAEConfig, VideoMAEModel

    config = VideoMAEConfig(**SMALL, image_size=32, patch_size=16, num_frames=4, tubelet_size=2)
    VideoMAEModel(config).save_pretrained(tmp_path / "mae")
    network = VideoMaeFeatures(tmp_path / "mae")
    assert isinstance(network, VideoFeatures)
    video = torch.rand(10, 3, 32, 40)
    assert network(video).shape == (16,)
    torch.testing.assert_close(network(video), network(video[[0, 3, 6, 9]]))
    torch.testing.assert_close(network(video[:2]), network(video[[0, 1, 0, 1]]))


class TinyI3d(torch.nn.Module):
    """Answers with the input's own statistics, so that the preprocessing can be read off."""

    def forward(
        self, clip: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> torch.Tensor:
        assert not rescale
        assert not resize
        assert return_features
        size = torch.tensor([[float(clip.size(2)), float(clip.size(3)), float(clip.size(4))]])
        return torch.cat([size, clip.mean((2, 3, 4)), clip.amin((1, 2, 3, 4))[:, None]], 1)


class TinyInception(torch.nn.Module):
    def forward(self, pixels: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert return_features
        return pixels.float().mean((2, 3))


def script(module: torch.nn.Module, path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(path))


def test_i3d_sees_ten_frames_of_224_in_minus_one_to_one(tmp_path: Path) -> None:
    script(TinyI3d(), tmp_path / "i3d.pt")
    network = I3dFeatures(tmp_path / "i3d.pt")
    video = torch.zeros(4, 3, 30, 50)
    video[:, 0] = 1.0
    assert network(video).tolist() == pytest.approx([10, 224, 224, 1, -1, -1, -1], abs=1e-5)
    assert network(video.repeat(4, 1, 1, 1))[0] == 16
    (tmp_path / "broken.pt").write_bytes(b"no script")
    with pytest.raises(InputError, match="TorchScript"):
        I3dFeatures(tmp_path / "broken.pt")
    with pytest.raises(MissingWeights, match=r"i3d_torchscript.pt"):
        I3dFeatures(tmp_path / "absent.pt")


def test_inception_sees_bytes(tmp_path: Path) -> None:
    script(TinyInception(), tmp_path / "inception.pt")
    frames = torch.full((2, 3, 8, 8), 0.5)
    assert InceptionFeatures(tmp_path / "inception.pt")(frames).tolist() == [[128.0] * 3] * 2


def test_short_videos_are_played_back_and_forth() -> None:
    video = torch.arange(3.0)[:, None, None, None].expand(3, 3, 2, 2)
    assert lengthened(video, 8)[:, 0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert lengthened(video[:1], 3)[:, 0, 0, 0].tolist() == [0, 0, 0]
    assert lengthened(video, 2) is video


def test_random_features_are_the_same_every_time() -> None:
    frames = torch.rand(2, 3, 20, 30)
    torch.testing.assert_close(RandomImageFeatures()(frames), RandomImageFeatures()(frames))
    assert RandomImageFeatures()(frames).shape == (2, RandomImageFeatures().dim)
    assert RandomVideoFeatures()(frames).shape == (RandomVideoFeatures().dim,)


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    before = content_hash(tmp_path / "a")
    (tmp_path / "a" / "x").write_text("2")
    assert content_hash(tmp_path / "a") != before
