"""Every exported format is read back by a second reader, and errs no more than `docs/formats.md` says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import second_readers
import torch

from fourreal.core.cameras import Cameras
from fourreal.core.errors import InputError
from fourreal.core.gaussians import SH_C0, Gaussians, GaussianSequence
from fourreal.files.export import export_scene
from fourreal.files.formats import SCENE_FORMATS
from fourreal.files.packed import read_spz

DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"
FORMATS = ("ply", "spz", "splat", "sog", "gltf", "4dgs", "usd")
COLUMNS = ("position", "log scale", "rotation deg", "opacity", "colour", "higher SH")
SECONDS = (2.0, 2.5, 4.0)  # neither from 0 nor evenly spaced


def moment(count: int, degree: int) -> Gaussians:
    """Like a real capture: 4 units across, scales of 1e-3 to 1e-1, all rotations, opacities and colours."""
    return Gaussians(
        torch.rand(count, 3) * 4 - 2,
        torch.nn.functional.normalize(torch.randn(count, 4), dim=-1),
        10 ** (torch.rand(count, 3) * 2 - 3),
        torch.rand(count),
        torch.cat([(torch.rand(count, 1, 3) - 0.5) / SH_C0, torch.rand(count, (degree + 1) ** 2 - 1, 3) - 0.5], 1),
    )


def scene(*counts: int, degree: int = 1) -> GaussianSequence:
    no_cameras = Cameras(torch.zeros(0, 4, 4), torch.zeros(0, 3, 3), (1, 1))
    steps = tuple(moment(count, degree) for count in counts)
    return GaussianSequence(steps, torch.tensor(SECONDS[: len(counts)]), no_cameras)


def export(folder: Path, given: GaussianSequence, format) -> list[Path]:
    one_file = format in ("4dgs", "usd")
    return list(export_scene(given, folder / f"out{SCENE_FORMATS[format][3][0] if one_file else ''}", format))


def read_back(files: list[Path], format: str, index: int) -> Gaussians:
    """Step `index` of an exported scene, by a second reader."""
    if format == "4dgs":
        return second_readers.fourdgs_at(files[0], SECONDS[index] - SECONDS[0] + 0.01)
    if format == "usd":
        return second_readers.usd_at(files[0], (SECONDS[index] - SECONDS[0]) / (SECONDS[-1] - SECONDS[0]) * 2)
    if format == "gltf":
        return second_readers.glb(files[index])[0]
    return getattr(second_readers, format)(files[index])


def matched(given: Gaussians, came: Gaussians) -> Gaussians:
    """`came` in the order of `given`; .sog and .4dgs reorder, so Gaussians are told apart by place."""
    assert len(came) == len(given)
    nearest = torch.cdist(given.means.double(), came.means.double()).argmin(1)
    assert len(nearest.unique()) == len(given)
    return came.select(nearest)


def errors(given: Gaussians, came: Gaussians) -> dict[str, float]:
    """Largest error of each attribute."""
    a, b = (torch.nn.functional.normalize(each.quats_wxyz.double(), dim=-1) for each in (given, came))
    # Not the arc cosine of the dot product, which cannot tell angles below 0.05 degrees from none.
    chord = torch.minimum((a - b).norm(dim=-1), (a + b).norm(dim=-1))
    difference = came.sh[:, : given.sh.shape[1]] - given.sh[:, : came.sh.shape[1]]
    return {
        "position": float((came.means - given.means).abs().max()),
        "log scale": float((came.scales.log() - given.scales.log()).abs().max()),
        "rotation deg": float(torch.rad2deg(4 * (chord / 2).asin()).max()),
        "opacity": float((came.opacities - given.opacities).abs().max()),
        "colour": float(difference[:, 0].abs().max() * SH_C0),
        "higher SH": float(difference[:, 1:].abs().max()) if difference.shape[1] > 1 else float("nan"),
    }


def documented() -> dict[str, dict[str, str]]:
    """The table of errors in docs/formats.md: format -> column -> what it says."""
    rows = {}
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        name = re.fullmatch(r"`(\w+)`", cells[0])
        if name and len(cells) == len(COLUMNS) + 2:
            rows[name[1]] = dict(zip((*COLUMNS, "bytes"), cells[1:], strict=True))
    return rows


@pytest.mark.parametrize("format", FORMATS)
def test_errors_are_as_documented(tmp_path: Path, format: str) -> None:
    """`pytest -s` prints what was measured; the largest of three steps of 800 Gaussians of degree 3."""
    given = scene(800, 800, 800, degree=3)
    files = export(tmp_path, given, format)
    all_errors = [errors(step, matched(step, read_back(files, format, i))) for i, step in enumerate(given.steps)]
    worst = {column: max(each[column] for each in all_errors) for column in COLUMNS}
    size = sum(path.stat().st_size for path in files) / 2400
    print(f"\n| `{format}` | " + " | ".join(f"{worst[column]:.2g}" for column in COLUMNS) + f" | {size:.0f} |")
    row = documented()[format]
    for column in COLUMNS:
        if row[column] == "dropped":
            assert np.isnan(worst[column]), column
        else:
            limit = float(row[column])
            assert worst[column] <= limit, f"{column}: measured {worst[column]:.3g}, documented {limit:.3g}"
            # A figure far larger than the truth is no figure either.
            assert worst[column] > limit / 10 or limit < 1e-5, f"{column}: measured {worst[column]:.3g}, said {limit}"
    assert size == pytest.approx(float(row["bytes"]), rel=0.1)


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("format", FORMATS)
def test_every_degree_and_changing_numbers(tmp_path: Path, format: str, degree: int) -> None:
    given = scene(40, 25, 60, degree=degree)
    files = export(tmp_path, given, format)
    for index, step in enumerate(given.steps):
        came = matched(step, read_back(files, format, index))
        worst = errors(step, came)
        assert came.sh_degree == (0 if format == "splat" else degree)
        assert worst["position"] < 1e-3
        assert worst["log scale"] < 0.05
        assert worst["rotation deg"] < 1.5
        assert worst["colour"] < 0.02
        assert np.isnan(worst["higher SH"]) or worst["higher SH"] < 0.05


def test_steps_keep_their_windows_in_4dgs(tmp_path: Path) -> None:
    from fourdgs.validate import validate

    given = scene(5, 6, 7)
    (path,) = export(tmp_path, given, "4dgs")
    report = validate(path.read_bytes())
    assert report.ok, report
    for seconds, count in ((0.0, 5), (0.49, 5), (0.5, 6), (1.99, 6), (2.0, 7), (2.9, 7)):
        assert len(second_readers.fourdgs_at(path, seconds)) == count


def test_usd_opens_in_a_second_library_and_says_what_is_up(tmp_path: Path) -> None:
    import fourdgs
    from pxr import Usd, UsdGeom

    given = scene(5, 6, 7)
    for up, axis in (("z", "Z"), ("y", "Y")):
        (path,) = export_scene(given, tmp_path / f"{up}.usda", "usd", up=up)
        stage = Usd.Stage.Open(str(path))
        assert UsdGeom.GetStageUpAxis(stage) == axis
        assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 2)
        assert stage.GetTimeCodesPerSecond() == pytest.approx(given.fps)
        came = fourdgs.from_usd(str(path))
        assert came.metadata["color_space"] == "srgb-rec709-display"
        np.testing.assert_array_equal(came.gaussians.positions, given.steps[0].means)
    np.testing.assert_array_equal(second_readers.usd_at(path, None).means, given.steps[0].means)


def test_gltf_turns_a_z_up_scene_upright(tmp_path: Path) -> None:
    import fourdgs

    given = scene(9)
    up_in_gltf = {"z": [0, 1, 0], "y": [0, 0, 1]}  # where world +z points in glTF's y-up frame
    for up, expected in up_in_gltf.items():
        (path,) = export_scene(given, tmp_path / f"{up}.glb", "gltf", up=up)
        _, document = second_readers.glb(path)
        x, y, z, w = document["nodes"][0].get("rotation", [0, 0, 0, 1])
        turned = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
        np.testing.assert_allclose(turned, expected, atol=1e-6)
        assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    came = fourdgs.from_gltf(str(tmp_path / "y.glb")).gaussians
    np.testing.assert_allclose(came.positions, given.steps[0].means, atol=1e-6)


def test_spz_reaches_as_far_as_the_scene(tmp_path: Path) -> None:
    for reach in (0.5, 100.0, 5000.0, 1e6):
        given = moment(50, 0)
        wide = Gaussians(given.means * reach, given.quats_wxyz, given.scales, given.opacities, given.sh)
        (path,) = export_scene(
            GaussianSequence((wide,), torch.zeros(1), scene(1).cameras), tmp_path / f"{reach}.spz", "spz"
        )
        for came in (second_readers.spz(path), read_spz(path)):
            assert (came.means - wide.means).abs().max() <= max(2**-17, 2 * reach / 2**22) * 1.01
    far = Gaussians(given.means * 1e8, given.quats_wxyz, given.scales, given.opacities, given.sh)
    with pytest.raises(InputError, match="4 million units"):
        export_scene(GaussianSequence((far,), torch.zeros(1), scene(1).cameras), tmp_path / "far.spz", "spz")


# ---- names, empty moments, bad input ----------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_empty_moments(tmp_path: Path, format: str) -> None:
    """Formats that can say "nothing here" do; the others are refused and leave nothing behind."""
    given = scene(3, 0, 4)
    if format in ("ply", "4dgs", "usd"):
        files = export(tmp_path, given, format)
        counts = [3, 0, 4]
        if format == "ply":  # the second reader refuses an empty file, so look at its header
            assert b"element vertex 0\n" in files[1].read_bytes()
            counts, files = [3, 4], [files[0], files[2]]
        for index, count in enumerate(counts):
            assert len(read_back(files, format, index)) == count
    else:
        with pytest.raises(InputError, match="cannot be empty"):
            export(tmp_path, given, format)
        assert list(tmp_path.iterdir()) == []


def test_a_scene_of_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no moment of this scene has Gaussians"):
        export(tmp_path, scene(0, 0), "4dgs")
    (path,) = export(tmp_path, scene(0, 0), "usd")
    assert len(second_readers.usd_at(path, 1.0)) == 0


def test_file_and_folder_names(tmp_path: Path) -> None:
    one, three = scene(4), scene(4, 4, 4)
    assert export_scene(one, tmp_path / "one.ply", "ply") == (tmp_path / "one.ply",)
    written = export_scene(three, tmp_path / "many", "ply")
    assert [path.name for path in written] == ["t000.ply", "t001.ply", "t002.ply"]
    assert all(path.is_file() for path in written)
    with pytest.raises(InputError, match=r"a \.ply holds one moment and this scene has 3; give a folder name"):
        export_scene(three, tmp_path / "three.ply", "ply")
    with pytest.raises(InputError, match=r"expected a file name ending in \.usdc or \.usda or \.usd"):
        export_scene(three, tmp_path / "scene.4dgs", "usd")
    for target, format in (("one.ply", "ply"), ("many", "ply")):
        given = one if target == "one.ply" else three
        with pytest.raises(InputError, match="already exists"):
            export_scene(given, tmp_path / target, format)
        export_scene(given, tmp_path / target, format, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"one.ply", "many"}


def test_steps_of_different_degree(tmp_path: Path) -> None:
    low, high = scene(3, degree=0), scene(3, degree=2)
    mixed = GaussianSequence((low.steps[0], high.steps[0]), torch.tensor([0.0, 1.0]), low.cameras)
    for format in ("4dgs", "usd"):
        with pytest.raises(InputError, match="SH degree"):
            export(tmp_path, mixed, format)
    assert len(export(tmp_path, mixed, "ply")) == 2


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(*_, **__) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="no space left"):
        export(tmp_path, scene(3, 3), format)
    assert list(tmp_path.iterdir()) == []


def test_a_short_write_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What NumPy, under gsply, raises on a full disk: an OSError without a number."""
    import gsply

    def short(path: Path, _) -> None:
        path.write_bytes(b"ply")
        raise OSError("69000 requested and 25456 written")

    monkeypatch.setattr(gsply, "plywrite", short)
    for scene_, target in ((scene(3), "one.ply"), (scene(3, 3), "many")):
        with pytest.raises(InputError, match=f"no space left on the disk while writing .*{target};"):
            export_scene(scene_, tmp_path / target, "ply")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_reported(tmp_path: Path) -> None:
    calls = []
    export_scene(scene(3, 3, 3), tmp_path / "out", "splat", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
