"""Training on a CPU: dropout's masks are of the right distribution, independent, of one seed the same; the heap."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from clones import TREE
from scipy import stats

from stages import cpu


@pytest.fixture(autouse=True, scope="module")
def _fast_masks() -> None:
    cpu.draw_masks_fast()  # not on import, which is in every process that collects tests


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dropout", [0.05, 0.1, 0.5])
def test_dropout_keeps_each_element_with_its_probability(dtype: torch.dtype, dropout: float) -> None:
    torch.manual_seed(0)
    rows, width = 1000, 1001  # a width that four does not divide
    out = torch.nn.functional.dropout(torch.ones(rows, width, dtype=dtype), dropout)
    assert out.unique().tolist() == [0, torch.tensor(1 / (1 - dropout)).to(dtype).item()]
    kept = int((out != 0).sum())
    assert stats.binomtest(kept, rows * width, 1 - dropout).pvalue > 1e-3


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    mask = torch.empty(4_000_000).bernoulli_(0.9).numpy().astype(np.int64)
    for distance in (1, 2, 3, 4):  # within an integer's four, and from one integer to the next
        pairs = np.bincount(mask[:-distance] * 2 + mask[distance:], minlength=4).reshape(2, 2)
        assert stats.chi2_contingency(pairs).pvalue > 1e-3


def test_each_of_the_four_places_is_uniform() -> None:
    torch.manual_seed(0)
    for p in (0.1, 0.5, 0.9):
        mask = torch.empty(1_000_000, 4).bernoulli_(p)
        for place in range(4):
            assert stats.binomtest(int(mask[:, place].sum()), len(mask), p).pvalue > 1e-3


def test_the_seed_decides_the_mask_and_a_mask_moves_the_generator_on() -> None:
    torch.manual_seed(7)
    first, second = torch.empty(999).bernoulli_(0.5), torch.empty(999).bernoulli_(0.5)
    torch.manual_seed(7)
    assert torch.equal(first, torch.empty(999).bernoulli_(0.5))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("p", "value"), [(0.0, 0), (1.0, 1)])
def test_certainties_are_certain(p: float, value: int) -> None:
    assert torch.empty(100_000).bernoulli_(p).unique().tolist() == [value]


def test_a_mask_that_is_not_contiguous_is_filled() -> None:
    torch.manual_seed(0)
    whole = torch.full((4, 3), -1.0)
    whole.t()[:2].bernoulli_(0.5)
    assert (whole[:, 2] == -1).all()
    assert ((whole[:, :2] == 0) | (whole[:, :2] == 1)).all()


def test_dropout_draws_by_it() -> None:
    torch.manual_seed(0)
    out = torch.nn.functional.dropout(torch.ones(999), 0.1)
    torch.manual_seed(0)
    assert torch.equal(out != 0, cpu.bernoulli_(torch.empty(999), 0.9) != 0)


def test_masks_do_not_repeat() -> None:
    torch.manual_seed(0)
    assert len({torch.empty(256).bernoulli_(0.5).numpy().tobytes() for _ in range(2000)}) == 2000


def test_a_generator_of_its_own_decides_the_mask_and_leaves_the_default_one_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    own = (torch.Generator().manual_seed(seed) for seed in (7, 7, 8))
    first, same, other = (torch.empty(999).bernoulli_(0.5, generator=generator) for generator in own)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


HEAP = """
import resource
import torch
from stages import cpu

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(16):
        torch.ones(10 * 2**20)  # 40 MB: what is larger than 32 glibc gives back whatever went before
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(page_faults())
cpu.keep_heap()
page_faults()  # until there are holes where an aligned block fits
print(page_faults())
"""


def test_the_memory_of_a_large_tensor_is_kept_for_the_next() -> None:
    said = subprocess.run([sys.executable, "-c", HEAP], cwd=TREE, capture_output=True, text=True, check=True).stdout
    as_it_comes, kept = map(int, said.split())
    assert kept < as_it_comes / 2
