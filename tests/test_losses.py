"""The loss: smoothed labels are the library's, the contrastive term is the paper's, where a weight asks for it."""

import math

import pytest
import torch
from token_rows import small_model
from trainings import BATCH, STEPS, Prepare, limit_memory, resumed, train_until, trained
from transformers import PreTrainedModel
from transformers.trainer_pt_utils import LabelSmoother

from stages import train
from stages.errors import InputError
from stages.losses import TEMPERATURE, BatchLoss, contrastive, head

LABELS = torch.tensor([0, 1, 0, 2, 0, 1])


def make(architecture: str) -> PreTrainedModel:
    return small_model(architecture, vocab_size=100, num_labels=3, pad_token_id=1)


def by_the_papers_sums(texts: list[list[float]], labels: list[int]) -> list[float]:
    """Equation 3, text by text."""
    unit = [[value / math.hypot(*text) for value in text] for text in texts]

    def likeness(one: int, other: int) -> float:
        return math.exp(sum(a * b for a, b in zip(unit[one], unit[other], strict=True)) / TEMPERATURE)

    losses = []
    for one, label in enumerate(labels):
        alike = [other for other in range(len(labels)) if other != one and labels[other] == label]
        every = sum(likeness(one, other) for other in range(len(labels)) if other != one)
        losses.append(-sum(math.log(likeness(one, other) / every) for other in alike) / max(1, len(alike)))
    return losses


def test_the_contrastive_loss_is_the_papers_and_0_for_a_label_that_occurs_once() -> None:
    texts = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    expected = by_the_papers_sums(texts.tolist(), LABELS.tolist())
    assert contrastive(texts, LABELS).tolist() == pytest.approx(expected, abs=1e-5)
    assert expected[3] == 0


def test_a_batch_of_one_text_has_a_gradient() -> None:
    texts = torch.randn(1, 5, requires_grad=True)
    contrastive(texts, torch.tensor([0])).sum().backward()
    assert texts.grad is not None
    assert texts.grad.tolist() == [[0.0] * 5]


@pytest.mark.parametrize(
    "architecture",
    ["bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "deberta-v2", "mpnet", "modernbert"],
)
def test_the_contrastive_loss_is_of_what_the_head_is_given(architecture: str) -> None:
    model = make(architecture)
    loss, plain = BatchLoss(model, 0.0, 0.25), BatchLoss(model, 0.0, 0.0)
    outputs = model.train()(torch.arange(30).view(6, 5))
    of_the_head = contrastive(loss.embeddings, LABELS).mean()
    torch.testing.assert_close(head(model)(loss.embeddings), outputs.logits)
    assert loss.embeddings.shape[0] == 6
    rows = torch.tensor(6)
    expected = 0.75 * plain(outputs, LABELS, rows) + 0.25 * of_the_head
    torch.testing.assert_close(loss(outputs, LABELS, rows), expected)
    assert of_the_head > 0.5
    of_the_head.backward()
    assert model.get_input_embeddings().weight.grad.any()


def test_smoothed_labels_are_those_of_the_library() -> None:
    outputs = {"logits": torch.randn(6, 3, generator=torch.Generator().manual_seed(0))}
    expected = LabelSmoother(epsilon=0.3)(outputs, LABELS)
    torch.testing.assert_close(BatchLoss(make("bert"), 0.3, 0.0)(outputs, LABELS, torch.tensor(6)), expected)


def test_validation_is_scored_by_cross_entropy_alone() -> None:
    model = make("bert").eval()
    outputs = model(torch.arange(30).view(6, 5), labels=LABELS)
    torch.testing.assert_close(BatchLoss(model, 0.0, 0.5)(outputs, LABELS, torch.tensor(6)), outputs.loss)


def test_a_model_whose_head_is_given_every_token_is_refused() -> None:
    model = make("gpt2").train()
    loss = BatchLoss(model, 0.0, 0.5)
    outputs = model(torch.arange(30).view(6, 5))
    with pytest.raises(InputError, match=r"^params\.yaml: train\.contrastive_weight: the head of GPT2ForSequenceClass"):
        loss(outputs, LABELS, torch.tensor(6))


def test_a_model_without_a_linear_head_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^params\.yaml: train\.contrastive_weight: the head of BertModel is not given"
    ):
        BatchLoss(make("bert").bert, 0.0, 0.5)


def test_without_the_contrastive_loss_a_model_may_have_any_head() -> None:
    logits = torch.zeros(6, 3)
    loss = BatchLoss(make("bert").bert, 0.0, 0.0)({"logits": logits}, LABELS, torch.tensor(6))
    assert float(loss) == pytest.approx(math.log(3))


def test_what_params_yaml_says_of_the_loss_reaches_it_also_where_gradients_are_accumulated(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[float, float]] = []
    init = BatchLoss.__init__

    def note(loss: BatchLoss, model: PreTrainedModel, label_smoothing: float, contrastive_weight: float) -> None:
        said.append((label_smoothing, contrastive_weight))
        init(loss, model, label_smoothing, contrastive_weight)

    monkeypatch.setattr(BatchLoss, "__init__", note)
    prepared(train__label_smoothing=0.125, train__contrastive_weight=0.25, train__epochs=1)
    sizes = limit_memory(monkeypatch, BATCH // 2)
    train.main()
    assert said == [(0.125, 0.25), (0.125, 0.25)]
    assert set(sizes[1:]) == {BATCH // 2}


def test_a_stopped_training_with_the_contrastive_loss_ends_with_the_same_bytes(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(train__contrastive_weight=0.5)
    expected = trained(folder)
    train_until(STEPS + 2, monkeypatch)
    assert resumed(folder, STEPS + 2) == expected
