"""Drafts of unknown cells: found by matching in the view's first frame and in the first view's frame of that time."""
