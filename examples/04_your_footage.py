"""Turn your own videos into a grid, hide cells, and save it.

Synchronised cameras give a complete grid; hiding all but the first row and the first column leaves what a
generator would be given. Writes `out/examples/04_*`.
"""

from pathlib import Path

from fourreal.core.media import write_video
from fourreal.data.footage import Sampling, grid_from_cameras
from fourreal.data.worlds import make_world, render_world, tiny_worlds
from fourreal.files.grid_folder import GridRecord, save_grid
from fourreal.view.contact_sheet import write_contact_sheet

OUT = Path("out/examples")


def main() -> None:
    # Stand-ins for your cameras: one file per view.
    sample = render_world(make_world(tiny_worlds(), seed=5))
    rows = [OUT / f"04_cam{view}.mp4" for view in range(sample.grid.num_views)]
    for path, frames in zip(rows, sample.grid.frames, strict=True):
        write_video(path, frames, sample.grid.fps)

    grid = grid_from_cameras(rows, Sampling(frames=4, size=(32, 32))).with_known("cross")
    save_grid(OUT / "04_grid", grid, record=GridRecord(source="my cameras"), overwrite=True)
    write_contact_sheet(OUT / "04_cross.png", grid)
    print(f"{int(grid.known.sum())} of {grid.known.numel()} cells known")


if __name__ == "__main__":
    main()
