"""How long a model takes from text to answers, how far to trust that, and on what machine it was."""
