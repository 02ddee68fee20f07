import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.contract import check_probabilities
from eval.errors import InvalidInputError
from eval.metrics import average_precision, decide, f1, macro, micro, per_label, precision, recall, roc_auc

ROOT = Path(__file__).parent.parent
# few distinct scores: ties in most examples
TIED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=60)


def arrays(pairs):
    return np.array([p[0] for p in pairs], np.int8), np.array([p[1] for p in pairs], np.float32) / 8


def test_counts_worked_by_hand():
    targets = np.array([1, 1, 1, 0, 0, 0, 0], np.int8)
    decisions = np.array([1, 1, 0, 1, 1, 0, 0], np.int8)  # 2 hits of 4 decided, of 3 positives
    assert precision(targets, decisions) == 2 / 4
    assert recall(targets, decisions) == 2 / 3
    assert f1(targets, decisions) == 4 / 7


def test_rankings_worked_by_hand():
    targets = np.array([1, 0, 1, 0], np.int8)
    scores = np.array([0.9, 0.5, 0.5, 0.1], np.float32)
    # pairs: .9 beats both; .5 ties with .5 (half) and beats .1
    assert roc_auc(targets, scores) == 3.5 / 4
    # recall 1/2 at precision 1, then the tie group: recall 1/2 more at precision 2/3
    assert average_precision(targets, scores) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@given(TIED)
@settings(max_examples=200, deadline=None)
def test_equal_to_scikit_learn(pairs):
    targets, scores = arrays(pairs)
    decisions = (scores >= 0.5).astype(np.int8)
    if not targets.any():
        for metric in (precision, recall, f1):
            assert metric(targets, decisions) is None
        assert average_precision(targets, scores) is None
        return
    known = reference.precision_score(targets, decisions, zero_division=np.nan)
    assert precision(targets, decisions) == (None if np.isnan(known) else pytest.approx(known))
    assert recall(targets, decisions) == pytest.approx(reference.recall_score(targets, decisions))
    assert f1(targets, decisions) == pytest.approx(reference.f1_score(targets, decisions, zero_division=0))
    assert average_precision(targets, scores) == pytest.approx(reference.average_precision_score(targets, scores))
    if targets.all():
        assert roc_auc(targets, scores) is None
    else:
        assert roc_auc(targets, scores) == pytest.approx(reference.roc_auc_score(targets, scores))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_averages_equal_scikit_learn_where_all_labels_are_defined(seed):
    rng = np.random.default_rng(seed)
    targets = (rng.random((40, 3)) < 0.4).astype(np.int8)
    targets[0], targets[1] = 1, 0
    scores = rng.integers(0, 9, (40, 3)).astype(np.float32) / 9
    decisions = decide(scores, np.array([0.3, 0.5, 0.7], np.float32))
    assert macro(f1, targets, decisions) == pytest.approx(reference.f1_score(targets, decisions, average="macro"))
    assert micro(f1, targets, decisions) == pytest.approx(reference.f1_score(targets, decisions, average="micro"))
    assert macro(roc_auc, targets, scores) == pytest.approx(reference.roc_auc_score(targets, scores, average="macro"))
    assert micro(roc_auc, targets, scores) == pytest.approx(reference.roc_auc_score(targets, scores, average="micro"))
    assert micro(average_precision, targets, scores) == pytest.approx(
        reference.average_precision_score(targets, scores, average="micro")
    )


def test_a_label_without_positives_is_undefined_and_left_out_of_the_macro_mean():
    targets = np.array([[1, 0], [0, 0], [1, 0]], np.int8)
    decisions = np.array([[1, 1], [0, 0], [0, 1]], np.int8)
    assert per_label(f1, targets, decisions) == (2 / 3, None)
    assert per_label(precision, targets, decisions) == (1.0, None)
    assert macro(f1, targets, decisions) == 2 / 3
    assert macro(f1, np.zeros_like(targets), decisions) is None


def test_predicting_nothing_finds_none_and_has_no_precision():
    targets, nothing = np.array([1, 0, 1], np.int8), np.zeros(3, np.int8)
    assert (precision(targets, nothing), recall(targets, nothing), f1(targets, nothing)) == (None, 0.0, 0.0)
    both = np.column_stack([targets, targets]), np.column_stack([nothing, targets])
    assert (macro(precision, *both), macro(recall, *both), macro(f1, *both)) == (1.0, 0.5, 0.5)
    assert micro(precision, *both) == 1.0


def test_one_row():
    one, score = np.array([1], np.int8), np.array([0.7], np.float32)
    assert f1(one, one) == 1.0
    assert roc_auc(one, score) is None
    assert average_precision(one, score) == 1.0


def test_decisions():
    probabilities = np.array([[0.5, 0.2, 0.9], [0.49, 0.9, 0.9]], np.float32)
    at = np.array([0.5, 0.5, 0.95], np.float32)
    assert decide(probabilities, at).tolist() == [[1, 0, 0], [0, 1, 0]]  # reaching the threshold is enough
    assert decide(probabilities, None).tolist() == [[0, 0, 1], [0, 1, 0]]  # one each; the first of equals
    with pytest.raises(InvalidInputError, match="2 thresholds do not fit 3 labels"):
        decide(probabilities, at[:2])
    with pytest.raises(InvalidInputError, match=r"row 1 .* NaN"):
        decide(np.array([[0.1], [np.nan]], np.float32), None)


def test_metrics_refuse_what_does_not_fit():
    with pytest.raises(InvalidInputError, match="do not fit"):
        f1(np.zeros(3, np.int8), np.zeros(2, np.int8))
    with pytest.raises(InvalidInputError, match="row 1 has a score that is NaN"):
        roc_auc(np.array([1, 0]), np.array([0.2, np.nan]))
    with pytest.raises(InvalidInputError, match="differ"):
        per_label(f1, np.zeros((2, 2)), np.zeros((2, 3)))


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_a_bad_probability_names_candidate_and_row(bad):
    answer = np.full((4, 2), 0.5)
    answer[2, 1] = bad
    with pytest.raises(InvalidInputError, match=r"student-int8: .* row 258, label number 1"):
        check_probabilities(answer, rows=4, labels=2, candidate="student-int8", first_row=256)


def test_a_wrong_shape_names_candidate_and_both_shapes():
    with pytest.raises(InvalidInputError, match=r"tfidf: .*\(3, 1\).*\(3, 2\)"):
        check_probabilities(np.zeros((3, 1)), rows=3, labels=2, candidate="tfidf")


def test_importing_eval_is_cheap_and_stands_without_the_maker():
    heavy = ("torch", "onnxruntime", "compress", "sklearn", "scipy", "matplotlib", "transformers", "pandas")
    code = f"import eval, sys; eval.load_report, eval.measure_quality; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def _dotted_eval_imports(source):
    tree = ast.parse(source)
    names = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return [alias.name for alias in names if alias.name == "eval" or alias.name.startswith("eval.")]


def test_nobody_shadows_the_builtin_eval():
    assert _dotted_eval_imports("import eval.metrics as m") == ["eval.metrics"]  # the check itself can find one
    files = [path for folder in ("compress", "eval", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert files
    assert {str(path): found for path in files if (found := _dotted_eval_imports(path.read_text("utf-8")))} == {}
