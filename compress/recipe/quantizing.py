"""Fewer bits for weights and arithmetic: one config for each scheme."""

from typing import Annotated, Literal, Self, assert_never

from pydantic import Discriminator, Field, model_validator

from compress.recipe.model import Section
from compress.recipe.students import Positive
from compress.recipe.training import Follows

Drop = Annotated[float, Field(ge=0, le=1)]


class Quantize(Follows):
    """What every scheme has. max_drop: the most that macro ROC-AUC on validation rows (of a regression R²) may fall
    below the parent's; a result that falls further is kept and marked, and the run ends with exit code 3.
    """

    type: Literal["quantize"]
    max_drop: Drop | None = None


class Fallback(Section):
    """Products that go back to fp32, the fewest found that hold every label within its tolerance of the parent.

    roc_auc, f1: the most that a label may lose on validation rows; F1 counts where a label has 30 positives or more.
    What a product costs is the labels' KL divergence to the parent on `rows` unlabeled texts (train where there are
    none), what it saves its time in ONNX Runtime's profile; the best ratio goes first. minutes: the search ends then,
    with the best it has found; where they are few for a model, it judges mixes on fewer than 5,000 validation rows.
    """

    roc_auc: Drop = 0.003
    f1: Drop = 0.02
    rows: Positive = 512
    minutes: Annotated[float, Field(gt=0)] = 10.0


class Calibration(Section):
    """How ranges of activations are found, from so many train rows: the extremes, a percentile or least entropy.

    Rows are drawn by chance, with four positives of every label where train has them. percentile: share of the values
    that a range holds; the rest is clipped on both sides alike.
    """

    method: Literal["min_max", "percentile", "entropy"] = "min_max"
    rows: Positive = 256
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99

    @model_validator(mode="after")
    def _of_percentiles(self) -> Self:
        if self.method != "percentile":
            self.refuse_ignored(("percentile",), "of method: percentile")
        return self


class Fp16(Quantize):
    """Weights and arithmetic in fp16; of a graph that takes texts (onnx_text) its tables alone."""

    scheme: Literal["fp16"]


class Bf16(Quantize):
    """Weights and arithmetic in bf16, of a torch model: half the file; whether it is faster is up to the CPU."""

    scheme: Literal["bf16"]


class Int8Dynamic(Quantize):
    """MatMul per channel and embeddings in int8, activations as they come; of onnx_text its tables alone.

    With fallback attention stays as many nodes, any of which may go back to fp32.
    """

    scheme: Literal["int8_dynamic"]
    fallback: Fallback | None = None


class Int8Static(Quantize):
    """QDQ with ranges of activations found beforehand on train rows (Jacob et al. 2018).

    Quantized are products with constant weights and tables of embeddings; all else stays fp32. reduce_range: weights in
    7 bits, so that sums of two products fit 16 bits on CPUs without VNNI; the report says whether they would without.
    """

    scheme: Literal["int8_static"]
    calibration: Calibration = Calibration()
    reduce_range: bool = False
    fallback: Fallback | None = None


class OpenvinoInt8(Quantize):
    """OpenVINO's graph with NNCF's static int8 (extra openvino), calibrated on so many train rows.

    accuracy_drop: the most that macro ROC-AUC on validation rows (of a regression R²) may fall; NNCF then gives
    products back to fp32, those first that cost most. It measures all rows again for each: minutes to hours.
    """

    scheme: Literal["openvino_int8"]
    calibration_rows: Positive = 300
    accuracy_drop: Drop | None = None


class OpenvinoBf16(Quantize):
    """OpenVINO's graph with weights in 16 bits (extra openvino), run in bf16 where the CPU can, else in fp32."""

    scheme: Literal["openvino_bf16"]


class IncInt8(Quantize):
    """neural-compressor's autotune on the torch model (extra inc), kept as a torch.export program, no pickle.

    It tries at most so many settings (static with extremes, static with least entropy, dynamic) and stops at the first
    that loses no more than a share `tolerance` of macro ROC-AUC (of a regression R²) on 512 validation rows.
    """

    scheme: Literal["inc_int8"]
    calibration_rows: Positive = 256
    trials: Annotated[int, Field(ge=1, le=3)] = 3
    tolerance: Drop = 0.002


Scheme = Fp16 | Bf16 | Int8Dynamic | Int8Static | OpenvinoInt8 | OpenvinoBf16 | IncInt8
Quantizing = Annotated[Scheme, Discriminator("scheme")]


def stage_bits(stage: Scheme) -> int:
    """Bits of a weight that it makes."""
    return 16 if isinstance(stage, Fp16 | Bf16 | OpenvinoBf16) else 8


def reads_texts(stage: Scheme) -> bool:
    """Whether it looks at texts beyond the check of its answers: to calibrate, or to find what falls back."""
    match stage:
        case Int8Static() | OpenvinoInt8() | IncInt8():
            return True
        case Int8Dynamic():
            return stage.fallback is not None
        case Fp16() | Bf16() | OpenvinoBf16():
            return False
        case _ as unknown:
            assert_never(unknown)
