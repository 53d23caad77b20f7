"""Writing shards: side by side as one after the other, going on after a stop, and refusing another mixture's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fourreal.cli.synth import Synth
from fourreal.core.errors import InputError
from fourreal.data.mixture import GridMixture, MixtureConfig
from fourreal.data.shards import ShardMixture, read_sample, write_shards
from fourreal.data.worlds import tiny_worlds
from fourreal.train.video_recipes import tiny

MIXTURE = GridMixture(
    MixtureConfig(worlds=replace(tiny_worlds(), views=2, frames=2, height=16, width=16, antialias=False), seed=5)
)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "one"
    write_shards(folder, MIXTURE, 7, per_shard=3)
    return folder


@pytest.mark.slow
def test_processes_side_by_side_write_the_same_bytes(written: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_shards(tmp_path, MIXTURE, 7, per_shard=3, workers=2, progress=lambda done, total: told.append((done, total)))
    assert _bytes(tmp_path) == _bytes(written)
    assert told[-1] == (7, 7)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_stopped_run_goes_on_and_keeps_what_is_whole(written: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        write_shards(tmp_path, MIXTURE, 7, per_shard=3, progress=stop)
    kept = tmp_path / "shard-00000.tar"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixture.json", kept.name]
    (tmp_path / ".shard-00001.0a0a0a0a.partial.tar").write_bytes(b"left by a killed process")
    (tmp_path / "shard-00002.tar").write_bytes(
        (written / "shard-00002.tar").read_bytes()[:2000]
    )  # as a full disk leaves it
    touched = kept.stat().st_mtime_ns
    assert len(write_shards(tmp_path, MIXTURE, 7, per_shard=3)) == 3
    assert kept.stat().st_mtime_ns == touched
    assert _bytes(tmp_path) == _bytes(written), "and what the killed process was writing is gone"
    assert len(ShardMixture(tmp_path, MIXTURE.config).keys) == 7


def test_a_larger_count_adds_to_a_smaller_one(written: Path, tmp_path: Path) -> None:
    for count in (4, 7):
        write_shards(tmp_path, MIXTURE, count, per_shard=3)
    assert _bytes(tmp_path) == _bytes(written)


def test_another_mixture_is_refused(written: Path, tmp_path: Path) -> None:
    before = _bytes(written)
    for other, depth in ((GridMixture(replace(MIXTURE.config, seed=6)), True), (MIXTURE, False)):
        with pytest.raises(InputError, match="shards of another mixture"):
            write_shards(written, other, 7, per_shard=3, depth=depth)
    assert _bytes(written) == before
    (tmp_path / "shard-00000.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r"no mixture\.json"):
        write_shards(tmp_path, MIXTURE, 1)


def test_depth_is_left_out_for_video_models(tmp_path: Path) -> None:
    (shard,) = write_shards(tmp_path, MIXTURE, 1, depth=False)
    assert read_sample(shard, "000000").depth is None


def test_flow_from_shards_is_that_of_the_rendered_sample(tmp_path: Path) -> None:
    mixture = GridMixture(replace(MIXTURE.config, shares=(1.0, 0.0, 0.0, 0.0)))
    write_shards(tmp_path, mixture, 3, per_shard=3, flow=True)
    reader = ShardMixture(tmp_path, mixture.config)
    draft = replace(reader.draft(0, 0), reverse=True)
    stored = reader.render([draft])[0].with_geometry()
    made = mixture.render([replace(mixture.draft(int(draft.key), 0), reverse=True)])[0].with_geometry()
    for pair in (((0, 0), (1, 0)), ((1, 0), (1, 1)), ((0, 1), (1, 0))):
        read, true = stored.flow(*pair), made.flow(*pair)
        assert (read.flow - true.flow).abs().max() < 0.05, "no more than float16 depth takes away"
        assert (read.visible != true.visible).float().mean() < 0.05
    with pytest.raises(InputError, match="store depth too"):
        write_shards(tmp_path / "flat", MIXTURE, 1, depth=False, flow=True)
    with pytest.raises(InputError, match="another mixture"):
        write_shards(tmp_path, mixture, 3, per_shard=3)


def test_samples_without_motion_say_how_to_get_flow(written: Path) -> None:
    with pytest.raises(InputError, match="--shards --flow"):
        read_sample(written / "shard-00000.tar", "000000").with_geometry()


def test_the_verb_writes_what_its_recipe_trains_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Synth(out=tmp_path, shards=True, recipe="tiny", count=3, per_shard=2, curriculum=2, device="cpu").run()
    assert "3 samples of 3 views x 5 frames of 16x16 in 2 shards" in capsys.readouterr().out
    config = replace(tiny().stages[1].mixture, seed=1)
    reader = ShardMixture(tmp_path, config)
    assert [key for _, key, _ in reader.keys] == ["000000", "000001", "000002"]
    made = reader.render([reader.draft(0, 0)])[0]
    assert made.grid.frames.shape == (3, 5, 3, 16, 16)
    # The last sample is past the curriculum: what the recipe itself draws there.
    plain = GridMixture(config)
    expected = plain.render([replace(plain.draft(2, 0), reverse=False)])[0]
    stored = read_sample(tmp_path / "shard-00001.tar", "000002")
    assert (stored.grid.frames - expected.grid.frames).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recipe": "tiny", "views": 5}, "leave --views out"),
        ({"recipe": "tiny", "stage": "base"}, "expected one of grids"),
        ({"actors": "physics"}, "leave --actors out"),
        ({"recipe": "tinny"}, "did you mean 'tiny'"),
        ({"stage": "grids"}, "name it with --recipe"),
        ({"curriculum": -1}, "fewer than 0"),
        ({"shards": False, "flow": True}, "stores no flow"),
        ({"per_shard": 0}, "at least 1 sample"),
        ({"shards": False, "recipe": "tiny"}, "add --shards"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(tmp_path: Path, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Synth(out=tmp_path / "out", **{"shards": True, **options}).run()
    assert not (tmp_path / "out").exists()
