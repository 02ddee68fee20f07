"""What a training learns from, and by which loss: the parts that fine-tuning and distillation share."""

from itertools import permutations
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from compress.errors import did_you_mean
from compress.recipe.model import Section, one_of
from compress.recipe.students import StageId

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Teachers = Annotated[
    Annotated[StageId, Tag("one")] | Annotated[dict[StageId, Weight], Field(min_length=1), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, dict) else "one"),
    one_of(
        "a stage's id, or several with their weights: {teacher: 0.7, tfidf_chars: 0.3}",
        lambda value: not isinstance(value, list | tuple),
    ),
]
"""A stage, or several with the weights by which their logits are averaged: {teacher: 0.7, tfidf_chars: 0.3}."""


class Focal(Section):
    """Focal loss: an answer that is right already counts less, by (1 - p)^gamma (Lin et al. 2017).

    p: the chance that the model gives to what is true. gamma: 2 by default, as there; 0 is the cross-entropy.
    """

    type: Literal["focal"]
    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0


class Asymmetric(Section):
    """Asymmetric loss: another gamma for positives and negatives, and negatives below `clip` not at all.

    Ridnik et al. 2021. By default positives count as in the cross-entropy (gamma_positive 0), easy negatives far less
    (gamma_negative 4), and those that the model gives a chance under 0.05 (clip) move nothing.
    """

    type: Literal["asymmetric"]
    gamma_positive: Annotated[float, Field(ge=0, le=10)] = 0.0
    gamma_negative: Annotated[float, Field(ge=0, le=10)] = 4.0
    clip: Annotated[float, Field(ge=0, lt=1)] = 0.05


_FOCUSED = ("focal", "asymmetric")


def _is_loss(value: object) -> bool:
    if isinstance(value, dict):
        return value.get("type") in _FOCUSED
    return isinstance(value, Focal | Asymmetric) or value in ("cross_entropy", *_FOCUSED)


def _spelt_out(value: Any) -> Any:
    """A bare word for a loss with its numbers at their defaults."""
    return {"type": value} if isinstance(value, str) and value in _FOCUSED else value


def _loss_kind(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("type"))
    return value.type if isinstance(value, Focal | Asymmetric) else "cross_entropy"


LabelLoss = Annotated[
    Annotated[Literal["cross_entropy"], Tag("cross_entropy")]
    | Annotated[Focal, Tag("focal")]
    | Annotated[Asymmetric, Tag("asymmetric")],
    Discriminator(_loss_kind),
    BeforeValidator(_spelt_out),
    one_of("cross_entropy, focal or asymmetric, or {type: focal, gamma: N} or {type: asymmetric, ...}", _is_loss),
]


Pairs = tuple[tuple[int, int], ...]
_SPREADS = ("uniform", "last")
_LAYER_MAP = "uniform, last, or pairs [student layer, teacher layer] of numbers from 0, e.g. [[0, 2], [1, 5]]"


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(type(it) is int and it >= 0 for it in value)


def _layer_map(value: Any) -> Any:
    """A check, before either branch is tried, that a value is a map of layers: a mistake is told once, in our words."""
    if value in _SPREADS:
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be {_LAYER_MAP}{did_you_mean(str(value), _SPREADS)}")
    if not value:
        raise ValueError(f"holds nothing: must be {_LAYER_MAP}")
    odd = [str(item) for item in value if not _is_pair(item)]
    if odd:
        raise ValueError(f"{' and '.join(odd)} {'are no pairs' if odd[1:] else 'is no pair'}: must be {_LAYER_MAP}")
    return value


def _in_order(layers: str | Pairs) -> str | Pairs:
    """A check that no pairs cross: the maps in use keep the order (Sun et al. 2019; Jiao et al. 2020)."""
    for (early, high), (late, low) in permutations(() if isinstance(layers, str) else layers, 2):
        if early < late and high > low:
            raise ValueError(
                f"[{early}, {high}] and [{late}, {low}] cross: the student's layer {late} works on what its layer "
                f"{early} gives, and would have to undo what that one learnt of a later layer of the teacher; write "
                f"[{early}, {low}] and [{late}, {high}]"
            )
    return layers


class HiddenStates(Section):
    """Squared error to the teacher's hidden states through a learned projection (Romero et al. 2015; Jiao et al. 2020).

    weight: of the mean over the pairs, by default 1. layers: uniform (the default) spreads the student's layers evenly
    over the teacher's, last takes its last ones, or pairs [student layer, teacher layer], from 0, that do not cross.
    Needs a student with the teacher's tokenizer.
    """

    weight: Weight = 1.0
    layers: Annotated[Literal["uniform", "last"] | Pairs, BeforeValidator(_layer_map), AfterValidator(_in_order)] = (
        "uniform"
    )

    def misfit(self, student: int | None, teacher: int | None) -> str | None:
        """Why the map does not fit models of so many layers, None where it does; a number that is not known is None."""
        if isinstance(self.layers, str):
            if student is None or teacher is None or student <= teacher:
                return None
            return (
                f"the student has {student} layers and the teacher {teacher}, so {self.layers} has none for some of "
                "them; give pairs, e.g. layers: [[0, 0]]"
            )
        missing = []
        for who, place, count in (("student", 0, student), ("teacher", 1, teacher)):
            highest = max(pair[place] for pair in self.layers)
            if count is not None and highest >= count:
                missing.append(f"the {who} has no layer {highest}: it has {count}, numbered 0 to {count - 1}")
        return ", and ".join(missing) or None

    def pairs(self, student: int, teacher: int) -> tuple[tuple[int, int], ...]:
        """(student layer, teacher layer), from 0, for models of so many layers. Raises ValueError on a misfit."""
        problem = self.misfit(student, teacher)
        if problem is not None:
            raise ValueError(problem)
        match self.layers:
            case "uniform":  # the last to the last: Jiao et al. 2020, section 3.1
                return tuple((layer, (layer + 1) * teacher // student - 1) for layer in range(student))
            case "last":
                return tuple((layer, teacher - student + layer) for layer in range(student))
            case given:
                return given


class Hints(Section):
    """Further terms of a distillation's loss, by weight; null or 0, their defaults, leave one out.

    They look into the first teacher.

    hidden: of hidden states. cosine: 1 - cosine of the last hidden states, DistilBERT's third loss (Sanh et al. 2019);
    needs the teacher's tokenizer and width. pooled: squared error to the teacher's pooled vector through a learned
    projection; works across tokenizers.
    """

    hidden: HiddenStates | None = None
    cosine: Annotated[float, Field(ge=0)] = 0.0
    pooled: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.hidden is None and not self.cosine and not self.pooled:
            raise ValueError("names no term: give hidden, cosine or pooled, or leave hints out")
        return self

    @property
    def of_tokens(self) -> bool:
        """Whether a term compares token by token, for which both must cut texts alike."""
        return self.hidden is not None or self.cosine > 0


class Augment(Section):
    """Further texts for the transfer set, made of its own without a network; the teacher answers them too.

    copies: of every text, 1 to 20, by default 1. Of each word: delete (0) drops it and mask (0.1) puts the mask token
    in its place with that chance, or drops it where student and teachers do not all have the same one; ngrams (0.25):
    chance that a copy is a run of the text's words instead, of 1 to 5 words (Tang et al. 2019, section 3.2).
    """

    copies: Annotated[int, Field(ge=1, le=20)] = 1
    delete: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mask: Annotated[float, Field(ge=0, lt=1)] = 0.1
    ngrams: Share = 0.25

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.delete and not self.mask and not self.ngrams:
            raise ValueError("changes nothing: delete, mask and ngrams are all 0")
        return self
