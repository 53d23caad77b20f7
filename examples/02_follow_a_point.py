"""Where is this pixel in another view, at another time?

A sample knows its depth, its cameras and how each rigid thing moves, so the optical flow between any
two cells of the grid is exact, and so is which pixels are hidden there.
"""

from fourreal.data.worlds import make_world, render_world, tiny_worlds


def main() -> None:
    sample = render_world(make_world(tiny_worlds(), seed=3))
    last_view, last_time = sample.grid.num_views - 1, sample.grid.num_times - 1
    for name, target in (("time", (0, last_time)), ("view", (last_view, 0)), ("both", (last_view, last_time))):
        field = sample.flow((0, 0), target)
        moved = field.flow.norm(dim=-1)[field.visible]
        print(f"across {name}: {field.visible.float().mean():.0%} of pixels visible, they move {moved.mean():.1f} px")


if __name__ == "__main__":
    main()
