import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from eval.baseline.classifier import TfidfModel, fit_tfidf, terms_of
from eval.contract import LabelledTexts
from eval.errors import InvalidInputError
from eval.metrics import average_precision, macro, roc_auc

GOOD = ["kind", "helpful", "calm", "thanks", "lovely", "café", "garden", "reading"]
BAD = ["silly", "rotten", "daft", "goblin", "Ärger", "stinky", "muddle"]
LABELS = ("rude", "shout")


def rows(count, seed):
    """Label 0: a word of BAD. Label 1: an exclamation word, whichever."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.zeros((count, 2), np.int8)
    for i in range(count):
        words = list(rng.choice(GOOD, 6))
        targets[i] = rng.random(2) < (0.3, 0.15)
        words += [rng.choice(BAD)] * int(targets[i, 0]) + ["hey"] * int(targets[i, 1])
        texts.append(" ".join(rng.permutation(words)))
    return tuple(texts), targets


def fitted(kind="words", single_label=False, targets=None, validation=None, seed=0):
    texts, truth = rows(200, seed=1)
    truth = truth if targets is None else targets
    options = {"kind": kind, "single_label": single_label, "seed": seed, "validation": validation}
    return fit_tfidf(texts, truth, LABELS[: truth.shape[1]], **options)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_terms_equal_scikit_learn(text):
    for analyzer, lengths in (("word", (1, 2)), ("char_wb", (2, 5))):
        theirs = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, strip_accents="unicode").build_analyzer()
        assert sorted(terms_of(text, analyzer, lengths)) == sorted(theirs(text))


def test_terms_by_hand():
    assert terms_of("Déjà vu, vu a", "word", (1, 2)) == ["deja", "vu", "vu", "deja vu", "vu vu"]
    assert terms_of("ab", "char_wb", (2, 5)) == [" a", "ab", "b ", " ab", "ab ", " ab "]


def test_features_and_logits_equal_scikit_learn():
    texts, targets = rows(200, seed=1)
    model = fitted()
    theirs = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode")
    features = theirs.fit_transform(texts)
    assert model.blocks[0].vocabulary == tuple(theirs.get_feature_names_out())
    regression = LogisticRegression(C=model.chosen_c, class_weight="balanced", solver="liblinear", random_state=0)
    regression.fit(features, targets[:, 0])
    new, _ = rows(50, seed=2)
    expected = regression.decision_function(theirs.transform(new))
    np.testing.assert_allclose(model.predict_logits(new)[:, 0], expected, atol=2e-3)


@pytest.mark.parametrize("kind", ["words", "words_chars"])
def test_it_learns_and_gives_probabilities(kind):
    model = fitted(kind)
    texts, targets = rows(300, seed=5)
    probabilities = model.predict_proba(texts)
    assert probabilities.dtype == np.float32
    assert ((probabilities > 0) & (probabilities < 1)).all()
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-model.predict_logits(texts))), rtol=1e-5)
    assert macro(roc_auc, targets, probabilities) > 0.99
    assert len(model.blocks) == (1 if kind == "words" else 2)


def test_characters_see_through_an_unseen_spelling():
    disguised = ["thanks rottenest gobliny kind", "thanks garden reading kind"]
    words, chars = fitted("words").predict_proba(disguised), fitted("words_chars").predict_proba(disguised)
    assert chars[0, 0] - chars[1, 0] > words[0, 0] - words[1, 0]


def test_one_text_at_a_time_gives_the_same_and_so_does_an_empty_text():
    model = fitted("words_chars")
    texts, _ = rows(5, seed=9)
    together = model.predict_logits([*texts, "", "?!"])
    apart = np.vstack([model.predict_logits([text]) for text in [*texts, "", "?!"]])
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_array_equal(together[5], model.bias)  # nothing known: the bias alone
    assert model.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("single_label", [False, True])
@pytest.mark.parametrize("with_validation", [False, True])
def test_a_label_never_positive_is_near_zero_for_every_text(single_label, with_validation):
    texts, truth = rows(200, seed=1)
    targets = np.column_stack([truth[:, 0], 1 - truth[:, 0], np.zeros(200, np.int8)])
    labels = ("rude", "fine", "never")
    validation = LabelledTexts(texts[:50], labels, targets[:50]) if with_validation else None
    model = fit_tfidf(texts, targets, labels, kind="words", single_label=single_label, seed=0, validation=validation)
    probabilities = model.predict_proba([*texts[:40], "nothing known here"])
    assert probabilities[:, 2].max() < 0.02
    assert roc_auc(targets[:40, 0], probabilities[:40, 0]) > 0.99


@pytest.mark.parametrize("classes", [2, 3])
def test_single_label_is_a_softmax_that_sums_to_one(classes):
    texts, truth = rows(200, seed=1)
    place = truth[:, 0] + (truth[:, 1] if classes == 3 else 0)
    targets = np.eye(classes, dtype=np.int8)[place]
    labels = ("a", "b", "c")[:classes]
    model = fit_tfidf(texts, targets, labels, kind="words", single_label=True, seed=0, validation=None)
    probabilities = model.predict_proba(texts)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == place).mean() > 0.9


def test_two_classes_have_the_probabilities_of_the_binary_regression():
    texts, truth = rows(200, seed=1)
    targets = np.eye(2, dtype=np.int8)[truth[:, 0]]
    model = fit_tfidf(texts, targets, ("no", "yes"), kind="words", single_label=True, seed=0, validation=None)
    theirs = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode")
    features = theirs.fit_transform(texts)
    regression = LogisticRegression(C=model.chosen_c, class_weight="balanced", max_iter=300)
    expected = regression.fit(features, truth[:, 0]).predict_proba(features)
    np.testing.assert_allclose(model.predict_proba(texts), expected, atol=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_chosen_c_is_the_best_on_validation(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    texts, targets = rows(150, seed=11)
    noisy = LabelledTexts(
        texts, LABELS, np.where(rng.random(targets.shape) < 0.25, 1 - targets, targets).astype(np.int8)
    )
    chosen = fitted(validation=noisy).chosen_c
    qualities = {}
    for c in (1.0, 3.0, 10.0):
        monkeypatch.setattr("eval.baseline.classifier._CHOICES_OF_C", (c,))
        qualities[c] = macro(average_precision, noisy.targets, fitted(validation=noisy).predict_proba(texts))
    assert len(set(qualities.values())) > 1
    assert qualities[chosen] == pytest.approx(max(qualities.values()), abs=1e-6)


def test_the_same_seed_gives_the_same_model():
    one, two = fitted("words_chars"), fitted("words_chars")
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.bias, two.bias)


def test_a_handful_of_rows_is_enough():
    targets = np.array([[1], [0]], np.int8)
    options = {"kind": "words_chars", "single_label": False, "seed": 0, "validation": None}
    model = fit_tfidf(["bad apple", "good pear"], targets, ("x",), **options)
    high, low = model.predict_proba(["bad", "good"])[:, 0]
    assert high > low


def test_bad_input_is_refused():
    options = {"kind": "words", "single_label": False, "seed": 0, "validation": None}
    with pytest.raises(InvalidInputError, match="no word"):
        fit_tfidf(["", "?"], np.array([[1], [0]], np.int8), ("x",), **options)
    with pytest.raises(InvalidInputError, match="do not fit"):
        fit_tfidf(["a b"], np.zeros((2, 1), np.int8), ("x",), **options)
    other = LabelledTexts(("a",), ("y",), np.zeros((1, 1), np.int8))
    with pytest.raises(InvalidInputError, match="validation has labels"):
        fit_tfidf(["aa bb"], np.ones((1, 1), np.int8), ("x",), **options | {"validation": other})
    model = fitted()
    with pytest.raises(InvalidInputError, match="do not fit"):
        TfidfModel(model.labels, False, model.blocks, model.weights[1:], model.bias, 1.0)


def test_long_texts_stay_on_the_calling_thread(tmp_path: Path) -> None:
    """BLAS threads a product of this size, whatever the caller was asked for; its workers would use CPU time."""
    code = """if 1:
        import os, time
        import numpy as np
        from eval.baseline.classifier import TermBlock, TfidfModel
        terms = sorted(f"w{i:05d}" for i in range(20000))
        block = TermBlock("word", (1, 1), tuple(terms), np.ones(20000, np.float32))
        random = np.random.default_rng(0)
        weights, bias = random.random((20000, 2), np.float32), np.zeros(2, np.float32)
        model = TfidfModel(("a", "b"), False, (block,), weights, bias, 1.0)
        text = " ".join(terms)
        expected = (np.ones(20000) / np.sqrt(20000)) @ model.weights.astype(np.float64)
        np.testing.assert_allclose(model.predict_logits([text])[0], expected, rtol=1e-4)
        own, all_ = time.thread_time(), time.process_time()
        for _ in range(20):
            model.predict_logits([text])
        own, all_ = time.thread_time() - own, time.process_time() - all_
        assert all_ < 1.05 * own + 0.01, (own, all_)"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "4"})


def test_predicting_imports_no_scikit_learn():
    code = """if True:
        import sys, numpy as np
        from eval.baseline.classifier import TermBlock, TfidfModel
        block = TermBlock("word", (1, 2), ("bad", "bad day"), np.ones(2, np.float32))
        model = TfidfModel(("x",), False, (block,), np.ones((2, 1), np.float32), np.zeros(1, np.float32), 1.0)
        assert model.predict_proba(["a bad day"])[0, 0] > 0.5
        print([name for name in ("sklearn", "scipy", "torch") if name in sys.modules])"""
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
