"""A complete grid of frames in, Gaussians for every time out, in one pass and without camera input.

`config` describes a network, `model` is it, `weights` reads and writes it, `reconstruct` uses it.

Source: 4Real-Video-V2, section 3.2 and appendix C; the backbone is VGGT (Wang et al., 2025).
"""
