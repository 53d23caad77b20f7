"""Anything that yields view x time grids for training or tests: procedural worlds, clips, captures."""
