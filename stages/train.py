"""Fine-tune the checkpoint on the train split; keep the epoch that does best on validation.

In:  data/tokenized/{train,validation}.parquet, models/pretrained/, the `train` params
Out: models/classifier/ (weights, config, tokenizer, provenance.json), metrics/curves/{training,validation}.csv
Run: python -m stages.train
"""

from typing import Annotated, Literal

from pydantic import Field

from stages import entry, paths, provenance
from stages.outputs import staged
from stages.params import Section, load


class TrainParams(Section):
    """How the checkpoint is fine-tuned. Hardware is found at run time and is no param."""

    epochs: Annotated[int, Field(ge=1, lt=2**31)] = Field(description="passes over the train split")
    batch_size: Annotated[int, Field(ge=1, lt=2**31)] = Field(
        description="texts per optimizer step; gradients are accumulated if they do not fit in memory at once"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(description="AdamW's learning rate at its peak")
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="the share of the steps over which the learning rate rises from 0, linearly; then it falls to 0"
    )
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="AdamW's decoupled weight decay, of all but biases, layer norms and embeddings of tokens in no text"
    )
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(description="gradients are clipped to this norm")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="the share of a label's probability that the loss, also on validation, spreads over all labels"
    )
    contrastive_weight: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="the share, in the loss of training, of the supervised contrastive loss (Gunel et al. 2021), which "
        "draws texts of one label together; the rest is cross-entropy"
    )
    best_metric: Literal["accuracy", "f1", "f1_macro", "loss"] = Field(
        description="the validation metric by which the epoch to keep is chosen: accuracy, f1 (weighted by support), "
        "f1_macro (the plain mean over the labels that have rows) or loss; of equal ones, the epoch of the lowest loss"
    )
    early_stopping_patience: Annotated[int, Field(ge=1)] | None = Field(
        description="stop after this many epochs without a better one, by best_metric; null: never"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="the random seed of the new head's weights, the order of the rows, and dropout"
    )


def main() -> None:
    """Train, and write the classifier and the curves."""
    stamp = provenance.inputs("train")
    params = load("train", TrainParams)

    from stages import checkpoints, curves, fine_tuning
    from stages.interruption import Interruption

    outputs = (paths.CLASSIFIER, paths.TRAINING_CURVE, paths.VALIDATION_CURVE)
    with (
        Interruption() as interruption,
        checkpoints.locked_folder(provenance.fingerprint(stamp)) as folder,
        staged(stamp, *outputs) as (classifier, training, validation),
    ):
        history = fine_tuning.fine_tune(params, stamp, folder, classifier, interruption)
        curves.write(history, training, validation)
        interruption.ignore_signals()


if __name__ == "__main__":
    entry.run(main)
