"""Rendering Gaussians: one gsplat-shaped function, CUDA and CPU behind it."""
