"""params.yaml means to a stage what it means to DVC."""

import math

import pytest
from dvc.exceptions import DvcException
from dvc.utils.serialize import parse_yaml
from hypothesis import example, given
from hypothesis import strategies as st

from stages.documents import parse

SCALARS = st.one_of(
    st.from_regex(r"[-+]?[0-9]{0,3}\.?[0-9]{0,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True).filter(
        lambda text: text != "-"
    ),
    st.from_regex(r"[-+]?[0-9][0-9_]{0,3}\.?[0-9_]{0,3}([eE][-+]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"[-+]?0[box][0-9a-fA-F][0-9a-fA-F_]{0,3}", fullmatch=True),
    st.sampled_from(
        [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "n",
            "true",
            "True",
            "false",
            "null",
            "~",
            ".inf",
            "-.inf",
            ".nan",
            "1:30",
            "'1e-4'",
            "010",
            "3e-05",
            "2e-5",
            "-.5e2",
        ]
    ),
)


@given(SCALARS)
@example("1e-4")
@example("no")
def test_a_scalar_is_what_dvc_takes_it_for(text: str) -> None:
    ours = parse(f"key: {text}\n")["key"]
    dvcs = parse_yaml(f"key: {text}\n", "params.yaml")["key"]
    assert type(ours) is type(dvcs)
    assert ours == dvcs or (math.isnan(ours) and math.isnan(dvcs))


def test_what_is_not_yaml_is_not_yaml_to_dvc_either() -> None:
    with pytest.raises(Exception, match="line 1"):
        parse("key: [")
    with pytest.raises(DvcException):
        parse_yaml("key: [", "params.yaml")
