"""Feature networks and perceptual distances; losses and metrics share them.

Weights come from the user or are embedded under their own name; nothing is downloaded here.
"""
