"""The draft of an unknown cell: found by matching in its view's first frame and in the first view's frame of its time."""
