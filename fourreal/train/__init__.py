"""Training of both models: one loop, recipes as values, checkpoints that resume exactly."""
