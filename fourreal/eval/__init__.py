"""How good a grid or a scene is: the papers' metrics, baselines to stand beside, intervals.

Models and feature networks come in as callables. Every metric's formula, range, direction, source
and weights stand in `docs/metrics.md`.
"""
