"""The nouns every room speaks in, and the maths and media reading they need."""
