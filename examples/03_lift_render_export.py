"""From depth to Gaussians, back to pictures, and out to other programs.

Depth and cameras become one disc per pixel, each surface once. The scene renders from any camera and
is written as a native folder and as numbered .ply files. Writes to `out/examples/03_*`.
"""

from pathlib import Path

from fourreal.core.camera_paths import interpolate
from fourreal.core.media import write_image
from fourreal.data.worlds import make_world, render_world, tiny_worlds
from fourreal.files.export import export_scene
from fourreal.files.scene_folder import load_scene, save_scene
from fourreal.recon.lift import lift_grid
from fourreal.splat.rasterize import rasterize

OUT = Path("out/examples")


def main() -> None:
    sample = render_world(make_world(tiny_worlds(), seed=3))
    scene = lift_grid(sample.grid, sample.depth)
    between = interpolate(scene.cameras, sample.grid.seconds.new_tensor([0.5]))
    rendering = rasterize(scene.at(0.2), between[0])
    write_image(OUT / "03_between_two_views.png", rendering.color)

    save_scene(OUT / "03_scene", scene, caption=sample.caption, licence=sample.licence, overwrite=True)
    files = export_scene(load_scene(OUT / "03_scene"), OUT / "03_ply", "ply", overwrite=True)
    print(f"{len(scene.at(0.2))} Gaussians at 0.2 s; {len(files)} ply files")


if __name__ == "__main__":
    main()
