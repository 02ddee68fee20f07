"""Words and runs of words as features: the reference in Python, and the same as an ONNX graph that takes texts."""
