"""Every key of the model is used, refused or harmless."""

from __future__ import annotations

import pytest
from starlake_core_project.effects import EFFECTS, Use, effect_of, structures
from starlake_core_project.keys import Keys

ALL = [(structure, key) for structure in structures() for key in structure.__struct_encode_fields__]


@pytest.mark.parametrize("structure", list(structures()), ids=lambda structure: structure.__name__)
def test_every_key_has_its_effect(structure: type[Keys]) -> None:
    missing = [key for key in structure.__struct_encode_fields__ if (structure.__name__, key) not in EFFECTS]
    assert not missing


def test_no_effect_is_of_a_key_that_is_not_there() -> None:
    assert set(EFFECTS) == {(structure.__name__, key) for structure, key in ALL}


def test_what_is_not_used_says_why() -> None:
    assert not [
        (structure.__name__, key)
        for structure, key in ALL
        if effect_of(structure, key).use is not Use.USED and not effect_of(structure, key).note
    ]
