"""Half a turn: an exact rotation of the world, colours included, and what exporters make of a y-down scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import second_readers
import torch

from fourreal.cli.__main__ import main
from fourreal.core.camera_paths import arc
from fourreal.core.cameras import Cameras, intrinsics_from_fov
from fourreal.core.gaussians import Gaussians, GaussianSequence
from fourreal.core.rotations import quat_to_matrix
from fourreal.files.export import export_scene
from fourreal.files.flip_y_down import flip_y_down
from fourreal.files.scene_folder import save_scene
from fourreal.splat.rasterize import rasterize
from fourreal.splat.sh import sh_basis

TURN = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


def some(count: int, degree: int) -> Gaussians:
    return Gaussians(
        torch.rand(count, 3) * 2 - 1,
        torch.nn.functional.normalize(torch.randn(count, 4), dim=-1),
        torch.rand(count, 3) * 0.2 + 0.02,
        torch.rand(count),
        torch.rand(count, (degree + 1) ** 2, 3) - 0.5,
    )


def cameras() -> Cameras:
    poses = arc(torch.zeros(3), 4.0, 3, span_deg=40.0, elevation_deg=20.0)
    return Cameras(poses, intrinsics_from_fov(40.0, (24, 32)).expand(3, 3, 3).clone(), (24, 32))


def y_down(scene: GaussianSequence) -> GaussianSequence:
    """A z-up scene as a reconstruction would give it: its world the first camera's frame, nearly."""
    move = torch.eye(4)
    move[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z becomes -y
    steps = tuple(
        Gaussians(step.means @ move[:3, :3].T, step.quats_wxyz, step.scales, step.opacities, step.sh)
        for step in scene.steps
    )
    return GaussianSequence(steps, scene.seconds, scene.cameras.moved(move))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_half_a_turn_is_the_rotation_it_says(degree: int) -> None:
    given = some(40, degree)
    turned = flip_y_down(given)
    assert torch.equal(turned.means, given.means @ TURN)
    torch.testing.assert_close(quat_to_matrix(turned.quats_wxyz), TURN @ quat_to_matrix(given.quats_wxyz))
    directions = torch.nn.functional.normalize(torch.randn(30, 3), dim=-1)
    seen = torch.einsum("dk,nkc->ndc", sh_basis(directions, degree), given.sh)
    seen_turned = torch.einsum("dk,nkc->ndc", sh_basis(directions @ TURN, degree), turned.sh)
    torch.testing.assert_close(seen_turned, seen)
    back = flip_y_down(turned)
    assert torch.equal(back.means, given.means)
    assert torch.equal(back.quats_wxyz, -given.quats_wxyz)
    assert torch.equal(back.sh, given.sh)


def test_a_turned_world_looks_the_same_to_cameras_that_turned_with_it() -> None:
    given, rig = some(60, 2), cameras()
    move = torch.eye(4)
    move[:3, :3] = TURN
    there, turned_rig = flip_y_down(given), rig.moved(move)
    pictures = [rasterize(g, c).color for g, c in ((given, rig), (there, turned_rig))]
    torch.testing.assert_close(*pictures, atol=1e-4, rtol=0)
    assert pictures[0].std() > 0.05


def test_a_y_down_scene_is_exported_upright(tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom

    scene = GaussianSequence((some(9, 1),), torch.zeros(1), cameras())
    expected = flip_y_down(scene.steps[0])
    (usd,) = export_scene(scene, tmp_path / "scene.usda", "usd", up="-y")
    came = second_readers.usd_at(usd, None)
    assert UsdGeom.GetStageUpAxis(Usd.Stage.Open(str(usd))) == "Y"
    np.testing.assert_array_equal(came.means, expected.means)
    np.testing.assert_array_equal(came.sh, expected.sh)
    (glb,) = export_scene(scene, tmp_path / "scene.glb", "gltf", up="-y")
    came, document = second_readers.glb(glb)
    assert document["nodes"][0].get("rotation", [0, 0, 0, 1]) == [0, 0, 0, 1]
    np.testing.assert_allclose(came.means, expected.means, atol=1e-6)
    (ply,) = export_scene(scene, tmp_path / "scene.ply", "ply", up="-y")
    np.testing.assert_array_equal(second_readers.ply(ply).means, scene.steps[0].means)


def test_the_verb_finds_what_is_up(tmp_path: Path) -> None:
    worlds = GaussianSequence((some(9, 0),), torch.zeros(1), cameras())
    save_scene(tmp_path / "world", worlds)
    save_scene(tmp_path / "reconstruction", y_down(worlds))
    no_cameras = Cameras(torch.zeros(0, 4, 4), torch.zeros(0, 3, 3), (1, 1))
    save_scene(tmp_path / "bare", GaussianSequence(worlds.steps, worlds.seconds, no_cameras))

    def highest(name: str, *options: str) -> int:
        out = tmp_path / (name + "".join(options) + ".glb")
        main(["export", str(tmp_path / name), "--format", "gltf", "--out", str(out), *options])
        came, document = second_readers.glb(out)
        x, y, z, w = document["nodes"][0].get("rotation", [0, 0, 0, 1])
        upright = came.means @ quat_to_matrix(torch.tensor([w, x, y, z], dtype=torch.float32)).T
        return int(upright[:, 1].argmax())

    top = int(worlds.steps[0].means[:, 2].argmax())
    assert highest("world") == highest("reconstruction") == highest("bare") == top
    assert highest("reconstruction", "--up", "-y") == top
    assert highest("reconstruction", "--up", "y") == int(worlds.steps[0].means[:, 2].argmin())
