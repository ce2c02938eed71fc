import pytest

from annotate.errors import ApplicationError
from annotate.services.workbench import keys_change, keys_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_own_keys_come_back_and_an_empty_set_brings_the_usual_ones() -> None:
    ada = make_user("ada")
    keys_change(user=ada, keys={"undo": "q", "digit_1": "a"})
    assert keys_of(user=ada) == {"undo": "q", "digit_1": "a"}
    keys_change(user=ada, keys={})
    assert keys_of(user=ada) == {}


def test_two_actions_may_swap_their_keys() -> None:
    ada = make_user("ada")
    assert keys_change(user=ada, keys={"undo": "s", "skip": "u"}) == {"undo": "s", "skip": "u"}


def test_the_usual_key_of_an_action_is_not_stored() -> None:
    assert keys_change(user=make_user("ada"), keys={"undo": "u"}) == {}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"undo": "s"}, "would do two things"),
        ({"undo": "q", "skip": "q"}, "would do two things"),
        ({"digit_1": "u"}, "would do two things"),
        ({"undo": "Enter"}, "one small letter"),
        ({"undo": "3"}, "one small letter"),
        ({"undo": ""}, "one small letter"),
        ({"dance": "q"}, "no action"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, str], words: str) -> None:
    ada = make_user("ada")
    with pytest.raises(ApplicationError, match=words):
        keys_change(user=ada, keys=keys)
    assert keys_of(user=ada) == {}
