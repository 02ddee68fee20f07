"""Hints: what a student learns from its first teacher's states beside its answers (Romero et al. 2015)."""

from compress.train.hints.source import Source, open_source
from compress.train.hints.student import HintedStudent

__all__ = ["HintedStudent", "Source", "open_source"]
