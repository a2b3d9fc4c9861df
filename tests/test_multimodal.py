"""A classifier of texts and images is fine-tuned and evaluated on texts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_data import Workspace, own_checkpoint
from token_rows import small_model

from stages import audit, classifier, download, evaluate, paths, tables, tokenize, train
from stages.batching import TokenizedRows

TEXT = {
    "vocab_size": 1000, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
    "head_dim": 8, "intermediate_size": 32, "pad_token_id": 0,
}  # fmt: skip
IMAGES = {"hidden_size": 16, "intermediate_size": 32, "patch_size": 14}
CONFIGS: dict[str, dict[str, Any]] = {
    # whose forward does not name the labels among its arguments
    "qwen3_5": {
        "text_config": TEXT | {"layer_types": ["linear_attention", "full_attention"]},
        "vision_config": IMAGES | {"depth": 1, "num_heads": 2, "out_hidden_size": 16},
    },
    "gemma3": {
        "text_config": TEXT,
        "vision_config": IMAGES | {"num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28},
        "mm_tokens_per_image": 4,
    },
}


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_classifier_of_texts_and_images_is_fine_tuned_and_evaluated_on_texts(
    workspace: Workspace, tiny_random_checkpoint: Path, architecture: str
) -> None:
    own_checkpoint(workspace, tiny_random_checkpoint, train__epochs=1)
    for stage in (download, audit, tokenize):
        stage.main()
    model = small_model(architecture, num_labels=2, **CONFIGS[architecture])
    model.save_pretrained(paths.PRETRAINED)  # with the other's tokenizer
    train.main()
    evaluate.main()
    metrics = json.loads(Path(paths.METRICS).read_text(encoding="utf-8"))
    predicted = tables.read(paths.predictions("test"))
    assert metrics["accuracy"] == np.mean(np.equal(predicted["label"], predicted["prediction"])).round(4)
    rows = TokenizedRows(tables.read(paths.tokenized("test")))
    tuned, _ = classifier.load_fine_tuned()
    with torch.inference_mode():
        logits = torch.cat([tuned(torch.tensor(rows[row]["input_ids"])[None]).logits for row in range(len(rows))])
    np.testing.assert_allclose(
        np.stack(predicted["probabilities"].to_numpy()), logits.softmax(-1).numpy(), rtol=1e-3, atol=1e-5
    )
