"""Look at grids and scenes: contact sheets, a live browser viewer, one-file pages and movies."""
