"""The papers' evaluation tables, and this project's own, as code: fixed scenes, views, times, sizes and seeds.

A protocol is made by a function named after its table, from a data folder and models as callables; `evaluate` runs it.
"""
