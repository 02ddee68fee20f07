"""Every family of encoders through every stage, as teacher and as student: not that it runs, but that it is right.

Two ways: each pooling on each family, untrained and exported by the tracer, which is quick; and for each family one
line of stages, whose teacher is of another family with another tokenizer, exported as users' models are.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from families import FAMILIES, POOLINGS, README, WORKS, save_family, table
from onnx import numpy_helper
from safetensors.torch import load_file

from compress.artifact import Artifact
from compress.classifier import Classifier, forward
from compress.encoder.build import build_classifier, set_attention_dropout
from compress.encoder.files import load_classifier, save_classifier
from compress.encoder.source import check_usable, open_pretrained
from compress.errors import EncoderError
from compress.pieces import TokenIds
from compress.products import int8_share
from compress.recipe.data import Task
from compress.recipe.pruning import PruneMagnitude
from compress.recipe.quantizing import Fp16, Int8Dynamic
from compress.recipe.stages import Distill, Export, Finetune
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.runtime.onnx import open_session, run_session
from compress.stages import distill, export, finetune, prune, quantize
from compress.stages.prune.magnitude import prunable
from compress.tokenizer import Batch, Tokenizer, open_tokenizer, save_pretrained_tokenizer
from eval.metrics import roc_auc

Answers = Callable[[Batch], np.ndarray]
TASK = Task(type="multi_label", text="t", labels=("a", "b", "c"))
WORDS = ("the map is from an older edition and I think the table needs another column, really, my friend. " * 6).split()
LENGTHS = (3, 50, 17, 64, 8)
# a constant added to every key leaves a softmax as it is; XLNet's mask stands for words that it is to guess
DEAF = (".key.bias", ".k_lin.bias", ".attn.k.bias", ".mask_emb")
EVERY = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, sentences: tuple[str, ...]) -> Callable[[str], Path]:
    """family -> folder of its tiny encoder, made once."""
    made: dict[str, Path] = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            save_family(family, sentences, made[family])
        return made[family]

    return get


def untrained(folder: Path, pooling: Any) -> Classifier:
    """A classifier whose head, which begins near zero, is as large as its other layers."""
    torch.manual_seed(1)
    model = build_classifier(open_pretrained(folder), TASK, pooling, 64).eval()
    inner = {id(parameter) for parameter in model.encoder.base_model.parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            if id(parameter) not in inner:
                parameter.normal_(std=0.3)
    return model


def of_lengths(tokenizer: Tokenizer, lengths: Sequence[int] = LENGTHS) -> list[TokenIds]:
    """Different texts of so many tokens, special ones included."""
    made = []
    for start, length in enumerate(lengths):
        tokenizer.inner.enable_truncation(length)
        made += tokenizer.encode([" ".join(WORDS[start:])])
    assert [len(item) for item in made] == list(lengths)
    return made


def check_padding_and_mates(answers: Answers, tokenizer: Tokenizer) -> np.ndarray:
    """Alone, padded or among others a text has the same logits, and other texts have others. Returns them, (5, L)."""
    texts = of_lengths(tokenizer)
    together = answers(tokenizer.pad(texts))
    alone = np.concatenate([answers(tokenizer.pad([text])) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(answers(tokenizer.pad(texts[:2])), alone[:2], atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 1e-3
    return alone


def of_file(path: Path) -> Answers:
    session = open_session(str(path), "cpu", 1)
    return lambda batch: run_session(session, batch)


def of_model(model: Classifier) -> Answers:
    return lambda batch: forward(model, batch, "cpu")


# ------------------------------------------------------------------------------------- each pooling on each family


@EVERY
def test_the_tokenizer_gives_transformers_ids_and_padding(
    encoder: Callable[[str], Path], tmp_path: Path, family: str, sentences: tuple[str, ...]
) -> None:
    from transformers import AutoTokenizer

    texts = [sentences[0], "the map", "", "quartz, zebra!"]
    ours = save_pretrained_tokenizer(encoder(family), tmp_path, 20)
    theirs = AutoTokenizer.from_pretrained(str(encoder(family)))
    expected = theirs(texts, truncation=True, max_length=20, padding=True, return_tensors="np")
    batch = ours.pad(ours.encode(texts))
    assert ours.pad_left == (family == "xlnet") == ours.needs_types
    for name in ("input_ids", "attention_mask"):
        np.testing.assert_array_equal(batch[name], expected[name])


@EVERY
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_and_batch_mates_change_nothing(
    encoder: Callable[[str], Path], tmp_path: Path, family: str, pooling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In torch, once saved and opened again, and in ONNX, at batches and lengths that the tracer never saw."""
    model = untrained(encoder(family), pooling)
    tokenizer = save_pretrained_tokenizer(encoder(family), tmp_path, 64)
    logits = check_padding_and_mates(of_model(model), tokenizer)
    save_classifier(model, tmp_path)
    opened = load_classifier(tmp_path, "eager")
    np.testing.assert_allclose(check_padding_and_mates(of_model(opened), tokenizer), logits, atol=1e-5)
    monkeypatch.setattr(export.write, "_export_dynamo", lambda *arguments: 1 / 0)
    export.write_onnx(opened, tokenizer.pad(of_lengths(tokenizer, (16, 20))), tmp_path / "model.onnx")
    np.testing.assert_allclose(check_padding_and_mates(of_file(tmp_path / "model.onnx"), tokenizer), logits, atol=1e-4)


@EVERY
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_weight_counts(encoder: Callable[[str], Path], tmp_path: Path, family: str, pooling: str) -> None:
    model = untrained(encoder(family), pooling)
    tokenizer = save_pretrained_tokenizer(encoder(family), tmp_path, 64)
    batch = tokenizer.pad(of_lengths(tokenizer, (24, 9)))
    before = forward(model, batch, "cpu")
    generator = torch.Generator().manual_seed(2)
    deaf = set()
    for name, parameter in model.named_parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(torch.randn(kept.shape, generator=generator))
        if np.abs(forward(model, batch, "cpu") - before).max() < 1e-6:
            deaf.add(name)
        with torch.no_grad():
            parameter.copy_(kept)
    assert not {name for name in deaf if not name.endswith(DEAF)}


@EVERY
def test_transformers_opens_what_was_saved(encoder: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    for pooling, maker in (("own", AutoModelForSequenceClassification), ("mean", AutoModel)):
        model = untrained(encoder(family), pooling)
        folder = tmp_path / pooling
        folder.mkdir()
        save_classifier(model, folder)
        opened, told = maker.from_pretrained(str(folder), output_loading_info=True)
        assert not {name for name in told["missing_keys"] if "pooler" not in name}
        for (name, ours), theirs in zip(
            model.encoder.base_model.named_parameters(), opened.base_model.parameters(), strict=False
        ):
            assert torch.equal(ours, theirs), name


# ------------------------------------------------------------------------------------- a line of stages for each family


@dataclass(frozen=True)
class Line:
    """What the stages made of one family. taught: fine-tuned. student: distilled from the family before it."""

    teacher: Artifact
    student: Artifact
    pruned: Artifact
    exported: Artifact
    halves: Artifact
    integers: Artifact

    def tokenizer(self) -> Tokenizer:
        return open_tokenizer(self.student.path, 64)

    def answers(self, stage: str) -> Answers:
        path = getattr(self, stage).path
        onnx_file = path / "model.onnx"
        return of_file(onnx_file) if onnx_file.is_file() else of_model(load_classifier(path))

    def logits(self, stage: str, texts: Sequence[str]) -> np.ndarray:
        return open_predictor(getattr(self, stage)).predict_logits(texts)

    def arrays(self, stage: str) -> dict[str, np.ndarray]:
        graph = onnx.load(str(getattr(self, stage).path / "model.onnx")).graph
        return {item.name: numpy_helper.to_array(item) for item in graph.initializer}


TRAINING = {"max_tokens": 64, "batch_size": 8, "learning_rate": 2e-3, "precision": "fp32"}


@pytest.fixture(scope="module")
def taught(
    tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, encoder: Callable[[str], Path]
) -> Callable[[str], Artifact]:
    """family -> its classifier, fine-tuned on the comments; each family has another of the poolings."""
    made: dict[str, Artifact] = {}

    def get(family: str) -> Artifact:
        if family not in made:
            shop = new_workshop(tmp_path_factory.mktemp(f"taught-{family}"))
            pooling = POOLINGS[FAMILIES.index(family) % 6]
            given = {"id": "t", "type": "finetune", "encoder": str(encoder(family)), "pooling": pooling, "epochs": 2.5}
            made[family] = shop.make(finetune.run, Finetune.model_validate(given | TRAINING))
        return made[family]

    return get


@pytest.fixture(scope="module")
def line(
    tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, encoder: Any, taught: Any
) -> Callable[[str], Line]:
    """family -> what the stages made of it."""
    made: dict[str, Line] = {}

    def run(family: str) -> Line:
        place = FAMILIES.index(family)
        shop = new_workshop(tmp_path_factory.mktemp(f"line-{family}"))
        student = {"encoder": str(encoder(family)), "pooling": POOLINGS[(place + 3) % 6], "max_tokens": 64}
        training = {key: value for key, value in TRAINING.items() if key != "max_tokens"}
        given = {"id": "student", "type": "distill", "teacher": "t", "student": student, "epochs": 1.5, **training}
        teacher = taught(FAMILIES[place - 1])
        distilled = shop.make(distill.run, Distill.model_validate(given), teacher=teacher)
        given = {"id": "pruned", "type": "prune", "epochs": 1, **training}
        pruned = shop.make(prune.run, PruneMagnitude.model_validate(given), parent=distilled)
        exported = shop.make(export.run, Export(id="exported", type="export"), parent=pruned)
        schemes = [
            shop.make(quantize.run, config, parent=exported)
            for config in (
                Fp16(id="fp16", type="quantize", scheme="fp16"),
                Int8Dynamic(id="int8_dynamic", type="quantize", scheme="int8_dynamic"),
            )
        ]
        return Line(teacher, distilled, pruned, exported, *schemes)

    def get(family: str) -> Line:
        if family not in made:
            made[family] = run(family)
        return made[family]

    return get


@EVERY
def test_teacher_and_student_learn_and_have_different_tokenizers(
    line: Any, encoder: Any, family: str, comment_splits: Any
) -> None:
    made, rows = line(family), comment_splits.train
    words = [
        open_tokenizer(getattr(made, stage).path, 64).encode(rows.texts[:1])[0].ids for stage in ("teacher", "student")
    ]
    assert words[0].tolist() != words[1].tolist()
    # the order of the rows by each label, after two epochs and a half: chance is .5
    areas = [roc_auc(rows.targets[:, i], made.logits("teacher", rows.texts)[:, i]) for i in range(6)]
    assert np.mean([area for area in areas if area is not None]) > 0.6
    # the student begins near zero, and nears the teacher's answers
    answers, student = (made.logits(stage, rows.texts) for stage in ("teacher", "student"))
    assert np.square(student - answers).mean() < 0.5 * np.square(answers).mean()
    fresh, after = (load_file(path / "model.safetensors") for path in (encoder(family), made.student.path))
    pairs = [(value, fresh[name.partition(".")[2]]) for name, value in after.items() if name.partition(".")[2] in fresh]
    assert len(pairs) >= len(fresh) - 2  # a pooler is left out
    assert sum(not torch.equal(*pair) for pair in pairs) > 0.9 * len(pairs)
    assert open_pretrained(made.student.path).config.model_type == family


@EVERY
def test_half_of_the_weights_are_zero_and_stay_so(line: Any, family: str, comment_splits: Any) -> None:
    made = line(family)
    model = load_classifier(made.pruned.path)
    weights = [layer.get_parameter(name) for layer, name in prunable(model, embeddings=False)]
    size = sum(weight.numel() for weight in weights)
    assert sum(int((weight == 0).sum()) for weight in weights) == round(0.5 * size)
    # every matrix is among them, embeddings and the head aside
    inner = model.encoder.base_model.named_parameters()
    matrices = {id(weight) for name, weight in inner if weight.numel() >= 8192 and "embed" not in name}
    assert matrices <= {id(weight) for weight in weights}
    zeros = {
        stage: footprint(getattr(made, stage)).zeros_share for stage in ("pruned", "exported", "halves", "integers")
    }
    assert zeros["pruned"] > 0.3
    assert zeros["exported"] == pytest.approx(zeros["pruned"], rel=2e-3)
    # rounding can only add zeros
    assert zeros["halves"] >= zeros["exported"]
    assert zeros["integers"] >= zeros["exported"]


@EVERY
def test_onnx_equals_torch_and_holds_these_weights(line: Any, family: str, comment_splits: Any) -> None:
    made, texts = line(family), comment_splits.tests["test"].texts
    logits = check_padding_and_mates(made.answers("exported"), made.tokenizer())
    np.testing.assert_allclose(logits, check_padding_and_mates(made.answers("pruned"), made.tokenizer()), atol=1e-4)
    pruned = made.logits("pruned", texts)
    np.testing.assert_allclose(made.logits("exported", texts), pruned, atol=1e-4)
    assert np.abs(made.logits("student", texts) - pruned).max() > 0.1


@EVERY
@pytest.mark.parametrize(("stage", "near"), [("halves", 5e-3), ("integers", 5e-2)])
def test_smaller_files_answer_nearly_the_same(
    line: Any, family: str, stage: str, near: float, comment_splits: Any
) -> None:
    made, texts = line(family), comment_splits.tests["test"].texts
    exact = made.logits("exported", texts)
    far = np.abs(made.logits(stage, texts) - exact).max()
    assert 0 < far < near
    assert far < 0.25 * np.abs(made.logits("student", texts) - exact).max()
    sizes = {name: sum(array.nbytes for array in made.arrays(name).values()) for name in ("exported", stage)}
    assert sizes[stage] < {"halves": 0.52, "integers": 0.3}[stage] * sizes["exported"]


@EVERY
def test_what_works_is_what_the_table_says(line: Any, family: str) -> None:
    made, said = line(family), WORKS[family]
    assert made.exported.manifest.notes[0] == f"exported by {said.exporter}"
    share = f"{int8_share(onnx.load(str(made.integers.path / 'model.onnx'))):.1%}"
    assert share == f"{said.int8_percent}%"
    assert made.integers.manifest.notes == (f"int8: {share} of the weights in matrix products",)
    encoder = load_classifier(made.student.path).encoder
    assert encoder._supports_sdpa == said.fused
    kind = type(open_tokenizer(made.student.path, 64).inner.model).__name__
    assert kind == {"WordPiece": "WordPiece", "byte-level BPE": "BPE", "Unigram": "Unigram"}[said.tokenizer]


def test_the_table_in_the_readme_is_the_one_that_was_tested() -> None:
    assert table() in README.read_text(encoding="utf-8"), "rewrite it: python tests/families.py"


# ------------------------------------------------------------------------------------- what does not fit


@EVERY
def test_texts_are_read_up_to_the_last_position(encoder: Any, tmp_path: Path, family: str) -> None:
    source = open_pretrained(encoder(family))
    assert source.max_positions == (None if family == "xlnet" else 64)
    tokenizer = save_pretrained_tokenizer(encoder(family), tmp_path, 64)
    model = build_classifier(source, TASK, "mean", 64).eval()
    logits = forward(model, tokenizer.pad(of_lengths(tokenizer, (64, 63))), "cpu")
    assert np.isfinite(logits).all()
    if family != "xlnet":
        with pytest.raises(EncoderError, match=r"max_tokens 65 is above the 64 positions of .*; set it to at most 64"):
            check_usable(source, "mean", 65)


@pytest.mark.parametrize("family", ["bert", "deberta-v2", "xlnet"])
def test_a_tokenizer_set_up_to_generate_does_not_shift_positions(encoder: Any, tmp_path: Path, family: str) -> None:
    folder = shutil.copytree(encoder(family), tmp_path / "encoder")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"padding_side": "left"}))
    tokenizer = save_pretrained_tokenizer(folder, tmp_path, 64)
    assert tokenizer.pad_left == (family == "xlnet")
    check_padding_and_mates(of_model(untrained(folder, "own")), tokenizer)


def test_attention_dropout_that_would_do_nothing_is_refused(encoder: Any) -> None:
    for family in FAMILIES:
        config = open_pretrained(encoder(family)).config
        if family == "xlnet":
            with pytest.raises(EncoderError, match=r"xlnet has no dropout of attention alone in transformers 5\."):
                set_attention_dropout(config, 0.0)
        else:
            set_attention_dropout(config, 0.25)
            names = ("attention_probs_dropout_prob", "attention_dropout")
            assert 0.25 in [getattr(config, name, None) for name in names]


@pytest.mark.parametrize("pad", [None, 0])
def test_a_decoder_is_read_whole_or_not_at_all(encoder: Any, tmp_path: Path, pad: int | None) -> None:
    """Its tokens see those before them only: pooling cls, or an own head that finds no end, would read nothing."""
    from transformers import Qwen3Config, Qwen3Model

    folder = shutil.copytree(encoder("modernbert"), tmp_path / "decoder")
    size = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "pad_token_id": pad}
    Qwen3Model(Qwen3Config(**size, **heads)).save_pretrained(str(folder))
    source = open_pretrained(folder)
    with pytest.raises(EncoderError, match=r"\(qwen3\) is a decoder: its first token.*Choose pooling: mean"):
        check_usable(source, "cls", 64)
    if pad is None:
        with pytest.raises(EncoderError, match=r"\(qwen3\) is a decoder without a pad_token_id.*pooling: mean"):
            check_usable(source, "own", 64)
    for pooling in ("mean_max", *(["own"] if pad is not None else [])):
        check_usable(source, pooling, 64)
        tokenizer = save_pretrained_tokenizer(folder, tmp_path, 64)
        check_padding_and_mates(of_model(untrained(folder, pooling)), tokenizer)


@pytest.mark.parametrize("role", ["finetune", "load", "student"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("t5", "is an encoder-decoder (t5)"),
        ("bart", "is an encoder-decoder (bart)"),
        ("vit", "(vit) cannot be built as a text classifier: transformers 5."),
        ("wav2vec2", "(wav2vec2) cannot be built as a text classifier: transformers 5."),
    ],
)
def test_what_is_no_encoder_of_text_is_told_before_anything_runs(
    tiny_recipe: Any, encoder: Any, tmp_path: Path, command: Any, role: str, kind: str, said: str
) -> None:
    from transformers import AutoConfig

    folder = shutil.copytree(encoder("bert"), tmp_path / kind)
    labels = tiny_recipe["task"]["labels"]
    AutoConfig.for_model(kind, id2label=dict(enumerate(labels))).save_pretrained(str(folder))
    teacher, student = tiny_recipe["stages"][:2]
    if role == "student":
        student["student"] = {"encoder": str(folder), "max_tokens": 32}
    elif role == "finetune":
        teacher |= {"encoder": str(folder), "pooling": "own"}
    else:
        tiny_recipe["stages"][0] = {"id": "teacher", "type": "load", "model": str(folder)}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny_recipe))
    ended = command("run", tmp_path / "recipe.yaml", "--out", tmp_path / "out")
    assert ended.code == 2
    last = ended.err.strip().splitlines()[-1]
    place = "student" if role == "student" else "teacher"
    assert f"stages.{place}" in ended.err
    assert said in " ".join(ended.err.split())
    assert len(last) < 400
    assert not (tmp_path / "out" / "artifacts" / place).exists()
