"""What a model is made of, and what can be done with it: known from its configuration, without its weights."""

from compress.architecture.types import Architecture, Parameters, Stack

__all__ = ["Architecture", "Parameters", "Stack"]
