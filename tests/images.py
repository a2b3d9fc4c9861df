"""What a picture shows, by its pixels."""

from pathlib import Path

import numpy as np
from matplotlib.image import imread


def white_at_the_edges(picture: Path) -> bool:
    """Whether nothing in a PNG reaches its edge."""
    image = imread(picture)[..., :3]
    return bool((np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]) == 1).all())
