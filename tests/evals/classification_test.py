import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from jaxvision.evals import classification
from jaxvision.train.types import Metric


def batch_of(labels, mask=None) -> dict:
    labels = np.asarray(labels, np.int32)
    return {"label": labels, "_mask": np.ones(len(labels), bool) if mask is None else np.asarray(mask)}


def evaluate(metric: Metric, batches: list) -> dict:
    state = metric.init()
    for outputs, batch in batches:
        state = metric.update(state, outputs, batch)
    return metric.result(state)


def one(metric: Metric, scores, labels, *, name: str = "logits") -> dict:
    return evaluate(metric, [({name: np.asarray(scores, np.float32)}, batch_of(labels))])


def padded_batches(seed: int, k: int = 7) -> tuple[list, np.ndarray, np.ndarray]:
    """Three batches of 8 whose last is half padding that would be counted as right, and the real rows together."""
    rng = np.random.default_rng(seed)
    batches, scores, labels = [], [], []
    for rows in (8, 8, 4):
        logits, label = rng.normal(size=(8, k)).astype(np.float32), rng.integers(0, k, 8).astype(np.int32)
        label[rows:] = logits[rows:].argmax(axis=1)
        batches.append(({"logits": logits}, batch_of(label, np.arange(8) < rows)))
        scores.append(logits[:rows])
        labels.append(label[:rows])
    return batches, np.concatenate(scores), np.concatenate(labels)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_equals_scikit_learn(seed):
    batches, scores, labels = padded_batches(seed)
    got = evaluate(classification.accuracy(top=(1, 3)), batches)
    assert got["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, scores.argmax(axis=1)), abs=1e-9)
    top3 = sklearn_metrics.top_k_accuracy_score(labels, scores, k=3, labels=np.arange(7))
    assert got["top3"] == pytest.approx(top3, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_nll_equals_scikit_learn(seed):
    batches, scores, labels = padded_batches(seed)
    expected = sklearn_metrics.log_loss(labels, softmax(scores), labels=np.arange(7))
    assert evaluate(classification.nll(), batches)["nll"] == pytest.approx(expected, abs=1e-9)
    got = evaluate(classification.nll(), [({"probabilities": softmax(scores)}, batch_of(labels))])
    assert got["nll"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_confusion_matrix_equals_scikit_learn(seed):
    batches, scores, labels = padded_batches(seed)
    seen = []

    def draw(counts, class_names):
        seen.append(counts)
        return np.zeros((1, 1, 3), np.uint8)

    evaluate(classification.confusion_matrix("abcdefg", draw), batches)
    expected = sklearn_metrics.confusion_matrix(labels, scores.argmax(axis=1), labels=np.arange(7))
    np.testing.assert_array_equal(seen[0], expected)


def test_confusion_matrix_is_a_picture():
    image = one(classification.confusion_matrix(("cat", "dog")), [[1, 0], [0, 1]], [0, 0])["confusion_matrix"]
    assert image.dtype == np.uint8
    assert image.ndim == 3 and image.shape[2] == 3


@pytest.mark.parametrize("make", [classification.accuracy, classification.nll])
def test_states_of_two_processes_add_up(make):
    metric = make()
    batches, _, _ = padded_batches(0)
    states = [metric.update(metric.init(), *batch) for batch in batches]
    merged = metric.merge(metric.merge(metric.init(), states[0]), metric.merge(states[1], states[2]))
    assert metric.result(merged) == pytest.approx(evaluate(metric, batches), abs=1e-12)


def test_update_leaves_the_given_state_alone():
    metric = classification.confusion_matrix("ab")
    state = metric.init()
    metric.update(state, {"logits": np.ones((1, 2), np.float32)}, batch_of([0]))
    assert state.sum() == 0


def test_ties_go_to_the_lower_class():
    scores = [[1.0, 1.0, 0.0]]
    assert one(classification.accuracy(top=(1,)), scores, [0]) == {"accuracy": 1.0}
    assert one(classification.accuracy(top=(1, 2)), scores, [1]) == {"accuracy": 0.0, "top2": 1.0}


def test_constant_scores_are_right_once_in_k():
    got = one(classification.accuracy(top=(1, 2)), np.zeros((4, 4)), range(4))
    assert got == {"accuracy": 0.25, "top2": 0.5}


def test_k_above_the_number_of_classes_counts_every_example():
    assert one(classification.accuracy(top=(1, 5)), [[0.0, 1.0]], [0]) == {"accuracy": 0.0, "top5": 1.0}


@pytest.mark.parametrize("scores", [[[np.nan, 0.0]], [[0.0, np.nan]], [[np.nan, np.nan]]])
def test_nan_is_never_right(scores):
    got = one(classification.accuracy(top=(1,)), scores, [0])
    assert got == {"accuracy": 0.0}


def test_probabilities_come_before_logits():
    outputs = {"logits": np.array([[1.0, 0.0]]), "probabilities": np.array([[0.2, 0.8]])}
    assert evaluate(classification.accuracy(top=(1,)), [(outputs, batch_of([1]))]) == {"accuracy": 1.0}


def test_a_probability_of_zero_is_finite():
    got = one(classification.nll(), [[0.0, 1.0]], [0], name="probabilities")["nll"]
    assert got == pytest.approx(-np.log(np.finfo(np.float64).eps))


def test_large_logits_do_not_overflow():
    assert one(classification.nll(), [[1000.0, 0.0]], [1])["nll"] == 1000.0


def test_a_batch_of_only_padding_changes_nothing():
    metric = classification.accuracy()
    state = metric.update(metric.init(), {"logits": np.zeros((2, 3), np.float32)}, batch_of([0, 99], [False, False]))
    np.testing.assert_array_equal(state, metric.init())


METRICS = {
    "accuracy": classification.accuracy(),
    "nll": classification.nll(),
    "confusion_matrix": classification.confusion_matrix("ab"),
}


@pytest.mark.parametrize("name", METRICS)
def test_no_examples_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name}: .*no examples"):
        METRICS[name].result(METRICS[name].init())


@pytest.mark.parametrize("label", [2, -1])
def test_a_label_beyond_the_classes_is_an_error(label):
    with pytest.raises(ValueError, match=f"label {label} in a model of 2 classes"):
        one(classification.accuracy(), [[0.0, 1.0]], [label])


def test_class_names_must_match_the_model():
    with pytest.raises(ValueError, match="3 class names for a model of 2 outputs"):
        one(classification.confusion_matrix("abc"), [[0.0, 1.0]], [1])


def test_a_constant_guess_is_as_good_as_the_most_frequent_label():
    metric = classification.most_frequent(4)
    batches = [
        {"label": np.array([2, 2, 1]), "_mask": np.array([True, True, False])},
        {"label": np.array([0]), "_mask": np.ones(1, bool)},
    ]
    state = metric.init()
    for batch in batches:
        state = metric.update(state, {}, batch)
    assert metric.result(state) == {"most_frequent": 2 / 3}
    with pytest.raises(ValueError):
        metric.result(metric.init())
