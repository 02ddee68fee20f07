"""What a model must reach: the goal, its text, and the verdict on it."""
