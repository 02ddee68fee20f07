"""What becomes of texts that are longer than a model reads at once."""

from typing import Literal, Self

from pydantic import model_validator

from compress.recipe.model import Section

How = Literal["truncate", "head_tail", "windows"]
WindowPooling = Literal["mean", "max"]


class LongText(Section):
    """How a text of more than max_tokens is read; one that fits is read whole, and alike in every way.

    Special tokens stand in every piece that is read. truncate: its first tokens. head_tail: a quarter of the places for
    its own tokens from its beginning, the rest from its end (Sun et al. 2019, section 5.3.1: 128 + 382 of 510).
    windows: all of it, in windows that share a quarter of these places with the one before; the last may be shorter.
    The logits of a text are the mean or the maximum of its windows'.
    """

    how: How = "truncate"
    window_pooling: WindowPooling = "mean"


TRUNCATE = LongText()


class ReadsTexts(Section):
    """How a stage's or a student's model reads long texts.

    null is the teacher's way for a student, the artifact's for one that is loaded; where there is neither, truncate.
    """

    long_text: How | None = None
    window_pooling: WindowPooling = "mean"

    @model_validator(mode="after")
    def _of_windows(self) -> Self:
        if self.long_text != "windows":
            self.refuse_ignored(("window_pooling",), "of long_text: windows")
        return self

    def long_texts(self, otherwise: LongText) -> LongText:
        """How long texts are read; `otherwise` where the recipe does not say."""
        return otherwise if self.long_text is None else LongText(how=self.long_text, window_pooling=self.window_pooling)
