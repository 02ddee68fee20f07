"""Encoders and the classifiers built on them: found, built, written and read again."""
