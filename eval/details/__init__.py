"""What else is told of a classifier's answers beside its scores, one file a question."""
