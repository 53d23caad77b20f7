"""Render a procedural 4D world and look at it.

A world is a little scene with moving things, several cameras and exact geometry. The same seed
is the same world. Writes `out/examples/01_world.png`.
"""

from pathlib import Path

from fourreal.data.worlds import make_world, render_world, tiny_worlds
from fourreal.view.contact_sheet import write_contact_sheet

OUT = Path("out/examples")


def main() -> None:
    sample = render_world(make_world(tiny_worlds(), seed=3))
    print(sample.caption)
    print("frames", tuple(sample.grid.frames.shape), "depth", tuple(sample.depth.shape))
    write_contact_sheet(OUT / "01_world.png", sample.grid)


if __name__ == "__main__":
    main()
