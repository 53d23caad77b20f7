"""The view-time video generator: known cells of a `VideoGrid` in, the complete grid out."""
