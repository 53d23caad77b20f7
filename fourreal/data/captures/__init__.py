"""Readers of real and rendered benchmarks: foreign files in, a `Capture` with OpenCV cameras out.

One format a file. Nothing is downloaded; `docs/captures.md` says what to fetch, under which licence.
"""
