"""A complete grid in, Gaussians for every time out. Source: 4Real-Video-V2, section 3.2."""
