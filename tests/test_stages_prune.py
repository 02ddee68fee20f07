"""Pruning: exactly as many zeros as asked for, where they belong, and they stay."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch.nn.utils import prune as torch_prune

from compress.encoder.build import build_classifier
from compress.encoder.source import open_pretrained
from compress.recipe.data import Task
from compress.recipe.pruning import PruneMagnitude
from compress.runtime.footprint import footprint
from compress.stages import prune
from compress.stages.prune.magnitude import cubic_sparsity, magnitude_masks, prunable
from compress.train import checkpoints

sparsities = st.floats(0, 0.99)
shapes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4)


def config(**changes: Any) -> PruneMagnitude:
    given = {"id": "p", "type": "prune", "from": "teacher", "final_sparsity": 0.5, "precision": "fp32"}
    return PruneMagnitude.model_validate(given | {"batch_size": 8, "learning_rate": 1e-3} | changes)


def drawn(shapes: list[tuple[int, int]], seed: int = 0) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random) for shape in shapes]


# ------------------------------------------------------------------------------------------------- mathematics


def test_the_cubic_schedule_by_hand() -> None:
    # 0.8 x (1 - (1 - t)^3) at t = 0, 1/4, 1/2, 3/4, 1 and after
    found = [cubic_sparsity(step, 8, 0.8) for step in (0, 2, 4, 6, 8, 9, 100)]
    assert found == pytest.approx([0, 0.8 * 37 / 64, 0.7, 0.8 * 63 / 64, 0.8, 0.8, 0.8])


@given(ramp=st.integers(0, 50), final=sparsities)
def test_the_schedule_never_falls_and_ends_at_the_final_sparsity(ramp: int, final: float) -> None:
    found = [cubic_sparsity(step, ramp, final) for step in range(ramp + 2)]
    assert found == sorted(found)
    assert found[-1] == final


@given(shapes=shapes, sparsity=sparsities, per_layer=st.booleans(), seed=st.integers(0, 99))
def test_masks_take_exactly_the_share_asked_for(
    shapes: list[tuple[int, int]], sparsity: float, per_layer: bool, seed: int
) -> None:
    weights = drawn(shapes, seed)
    masks = magnitude_masks(weights, sparsity, per_layer)
    assert [mask.shape for mask in masks] == [weight.shape for weight in weights]
    zeros = [int((mask == 0).sum()) for mask in masks]
    sizes = [weight.numel() for weight in weights]
    if per_layer:
        assert zeros == [round(sparsity * size) for size in sizes]
    else:
        assert sum(zeros) == round(sparsity * sum(sizes))
    # the smallest go: nothing that was taken is larger than anything that stayed
    groups = list(zip(weights, masks, strict=True)) if per_layer else [(None, None)]
    for weight, mask in groups:
        size = weight.abs().flatten() if per_layer else torch.cat([w.abs().flatten() for w in weights])
        kept = mask.flatten() if per_layer else torch.cat([m.flatten() for m in masks])
        if 0 < kept.sum() < len(kept):
            assert size[kept == 0].max() <= size[kept == 1].min()


def test_global_and_per_layer_differ_by_hand() -> None:
    small, large = torch.tensor([[0.1, -0.2]]), torch.tensor([[3.0, -4.0]])
    together = magnitude_masks([small, large], 0.5, per_layer=False)
    assert [mask.tolist() for mask in together] == [[[0, 0]], [[1, 1]]]
    each = magnitude_masks([small, large], 0.5, per_layer=True)
    assert [mask.tolist() for mask in each] == [[[0, 1]], [[0, 1]]]


def test_equal_weights_are_cut_to_the_count_all_the_same() -> None:
    (mask,) = magnitude_masks([torch.ones(10, 10)], 0.37, per_layer=False)
    assert int((mask == 0).sum()) == 37


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("pooling", ["own", "mean"])
def test_the_head_and_the_embeddings_are_left_alone(
    tiny_encoder: Callable[[str], Path], family: str, pooling: Any
) -> None:
    task = Task(type="multi_label", text="t", labels=("a", "b", "c"))
    model = build_classifier(open_pretrained(tiny_encoder(family)), task, pooling, 32)
    names = {id(module): name for name, module in model.named_modules()}
    chosen = {names[id(weight.layer)] for weight in prunable(model, embeddings=False)}
    # attention's four and the feed-forward's two, in two layers; bert's own head has the pooler in the encoder
    assert len([name for name in chosen if "pooler" not in name]) == 12
    assert not [name for name in chosen if "classifier" in name or "embeddings" in name or name == "head"]
    with_embeddings = {names[id(weight.layer)] for weight in prunable(model, embeddings=True)}
    assert with_embeddings > chosen
    assert all("embeddings" in name for name in with_embeddings - chosen)


# ------------------------------------------------------------------------------------------------- the stage


def pruned_names(weights: dict[str, np.ndarray]) -> list[str]:
    """The linear layers of a BERT without its pooler."""
    return [name for name in weights if ".layer." in name and name.endswith("weight") and "LayerNorm" not in name]


@pytest.mark.parametrize("sparsity", [0.5, 0.613])
def test_the_artifact_has_exactly_its_zeros(workshop: Any, teacher: Any, sparsity: float) -> None:
    made = workshop.make(prune.run, config(final_sparsity=sparsity, epochs=0.5), parent=teacher)
    before, after = (load_file(artifact.path / "model.safetensors") for artifact in (teacher, made))
    assert before.keys() == after.keys()
    names = pruned_names(after)
    assert len(names) == 12
    zeros = {name: int((array == 0).sum()) for name, array in after.items()}
    assert sum(zeros[name] for name in names) == round(sparsity * sum(after[name].size for name in names))
    assert len({zeros[name] / after[name].size for name in names}) > 1
    for name in after.keys() - set(names):
        assert zeros[name] == int((before[name] == 0).sum())
    weighed = footprint(made)
    assert weighed.zeros_share == pytest.approx(sum(zeros.values()) / sum(a.size for a in after.values()))


def test_scope_layer_takes_the_same_share_of_each(workshop: Any, teacher: Any) -> None:
    made = workshop.make(prune.run, config(scope="layer", final_sparsity=0.3, epochs=0.5), parent=teacher)
    weights = load_file(made.path / "model.safetensors")
    for name in pruned_names(weights):
        assert int((weights[name] == 0).sum()) == round(0.3 * weights[name].size)


def test_embeddings_are_pruned_where_asked(workshop: Any, teacher: Any) -> None:
    made = workshop.make(prune.run, config(scope="layer", embeddings=True, epochs=0.5), parent=teacher)
    weights = load_file(made.path / "model.safetensors")
    words = weights["bert.embeddings.word_embeddings.weight"]
    assert int((words == 0).sum()) == round(0.5 * words.size)


def test_recovery_mends_what_pruning_breaks(workshop: Any, teacher: Any) -> None:
    from compress.runtime import open_predictor

    texts = workshop.splits.tests["test"].texts
    truth = open_predictor(teacher).predict_proba(texts)

    def distance(**changes: Any) -> float:
        given = config(final_sparsity=0.9, teacher="teacher", **changes)
        made = workshop.make(prune.run, given, parent=teacher, teacher=teacher)
        return float(np.abs(open_predictor(made).predict_proba(texts) - truth).mean())

    assert distance(epochs=6, hardness=1.0, learning_rate=3e-3) < 0.7 * distance(epochs=0.1, learning_rate=1e-6)


def test_the_schedule_is_followed_and_weights_stay_out(
    workshop: Any, teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.stages.prune import magnitude

    seen: list[tuple[float, list[torch.Tensor]]] = []
    original = magnitude.magnitude_masks

    def spy(weights: list[torch.Tensor], sparsity: float, per_layer: bool) -> list[torch.Tensor]:
        found = original(weights, sparsity, per_layer)
        seen.append((sparsity, found))
        return found

    monkeypatch.setattr(magnitude, "magnitude_masks", spy)
    workshop.make(prune.run, config(epochs=2), parent=teacher)
    # 30 steps: a ramp of 21 with a mask at each, and the last check at the end
    assert [sparsity for sparsity, _ in seen] == pytest.approx(
        [cubic_sparsity(step, 21, 0.5) for step in range(22)] + [0.5]
    )
    for (_, earlier), (_, later) in itertools.pairwise(seen):
        assert all(((a == 1) | (b == 0)).all() for a, b in zip(earlier, later, strict=True))


class KilledError(Exception):
    """What stands for the end of the process."""


@pytest.mark.parametrize("stop", [5, 25])
def test_masks_survive_a_kill(workshop: Any, teacher: Any, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def dying(what: str, done: int, total: int) -> None:
        if done == stop:
            raise KilledError

    try:
        whole = workshop.make(prune.run, config(id="whole", epochs=2), parent=teacher)
        with pytest.raises(KilledError):
            workshop.make(prune.run, config(epochs=2), parent=teacher, progress=dying)
        assert not (workshop.folder / "artifacts" / "p").exists()
        resumed = workshop.make(prune.run, config(epochs=2), parent=teacher)
    finally:
        torch.set_num_threads(threads)
    assert resumed.manifest.file_sha256s == whole.manifest.file_sha256s


def test_early_stopping_keeps_no_epoch_from_before_the_last_masks(workshop: Any, teacher: Any) -> None:
    """The best epoch of all is the one with the fewest zeros; cut to the rest at once, it would be the worst."""
    made = workshop.make(prune.run, config(final_sparsity=0.9, epochs=10, early_stopping=1), parent=teacher)
    record = workshop.folder / "work-p" / "best.json"
    assert json.loads(record.read_text())["epoch"] >= 8
    stored = load_file(workshop.folder / "work-p" / "best.safetensors")
    masks = [stored[name] for name in stored if name.endswith("weight_mask")]
    assert sum(int((mask == 0).sum()) for mask in masks) == round(0.9 * sum(mask.size for mask in masks))
    assert footprint(made).zeros_share > 0


def test_torchs_own_pruning_chooses_the_same_weights() -> None:
    layers = [torch.nn.Linear(7, 5), torch.nn.Linear(5, 3)]
    ours = magnitude_masks([layer.weight.detach() for layer in layers], 0.4, per_layer=False)
    torch_prune.global_unstructured([(layer, "weight") for layer in layers], torch_prune.L1Unstructured, amount=0.4)
    for layer, mask in zip(layers, ours, strict=True):
        assert torch.equal(layer.get_buffer("weight_mask"), mask)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_what_an_earlier_pruning_took_out_stays_out(workshop: Any, teacher: Any, scope: str) -> None:
    once = workshop.make(prune.run, config(id="once", final_sparsity=0.6, epochs=0.5), parent=teacher)
    earlier = load_file(once.path / "model.safetensors")
    names = pruned_names(earlier)
    size = sum(earlier[name].size for name in names)
    for sparsity in (0.3, 0.8):
        made = workshop.make(prune.run, config(scope=scope, final_sparsity=sparsity, epochs=1), parent=once)
        later = load_file(made.path / "model.safetensors")
        assert all((later[name][earlier[name] == 0] == 0).all() for name in names)
        zeros = sum(int((later[name] == 0).sum()) for name in names)
        if sparsity == 0.3:
            assert zeros == pytest.approx(0.6 * size, abs=1) if scope == "global" else zeros >= round(0.6 * size)
        elif scope == "global":
            assert zeros == round(0.8 * size)
