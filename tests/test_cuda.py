"""On a GPU: what makes training fast changes no result, and a training runs (tiny random models). Else skipped.

conftest.py hides GPUs from the tests unless told otherwise: TEST_CUDA_DEVICES=0 python -m pytest tests/test_cuda.py
"""

import copy
import json
from pathlib import Path

import pytest
import torch
from token_rows import PAD, ROWS, TEXTS, TOKENIZER, small_model
from trainings import Prepare
from transformers import PreTrainedModel

from stages import audit, evaluate, fine_tuning, first_token, paths, tables, train
from stages.batching import PadToLongest

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device, or TEST_CUDA_DEVICES does not name it"
)
SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "initializer_range": 0.2,  # so that attention is no mere mean
}
UNLIKE = ("word_embeddings.weight", "key.bias", "k_lin.bias")  # of which there are fewer; whose gradient is 0


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.15)])
@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]], ids=["padded", "of one length"])
@pytest.mark.parametrize("architecture", first_token.PARTS)
def test_what_makes_training_fast_changes_no_logit_and_no_gradient(
    architecture: str, texts: list[dict[str, object]], precision: torch.dtype, tolerance: float
) -> None:
    plain = small_model(architecture, **SIZES).eval()
    if architecture == "distilbert":
        torch.nn.init.ones_(plain.pre_classifier.bias)  # away from the kink of its ReLU, where rounding would decide
    fast = copy.deepcopy(plain)
    fine_tuning.speed_up(fast, PAD, ROWS)
    batch = {name: tensor.cuda() for name, tensor in PadToLongest(TOKENIZER)(texts).items()}

    def learned(model: PreTrainedModel) -> dict[str, torch.Tensor]:
        model.cuda()
        with torch.autocast("cuda", precision, enabled=precision != torch.float32):
            output = model(**batch)
        output.loss.backward()
        trained = {name: weights for name, weights in model.named_parameters() if not name.endswith(UNLIKE)}
        return {"logits": output.logits.float()} | {name: weights.grad for name, weights in trained.items()}

    found = learned(fast)
    for name, expected in learned(plain).items():
        assert (found[name] - expected).norm() <= tolerance * expected.norm(), name


def test_a_training_on_a_gpu_says_so_and_its_classifier_is_evaluated(prepared: Prepare) -> None:
    prepared()
    audit.main()
    train.main()
    made = json.loads(Path(paths.CLASSIFIER_PROVENANCE).read_text(encoding="utf-8"))["machine"]
    assert made["device"] == torch.cuda.get_device_name()
    evaluate.main()
    stamp = tables.metadata(tables.read(paths.predictions("test")).schema)
    assert stamp["machine"]["precision"] == "float32"
