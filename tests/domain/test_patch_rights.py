"""Properties that a caller may make, and that are there already, unseen by him."""

import pytest

from glancecore.domain import errors, patch
from glancecore.testing.examples import make_image


@pytest.mark.parametrize(
    ("allowed", "taken"),
    [({"create"}, False), ({"create", "update"}, True), ({"update"}, False), ({"create", "read"}, False)],
)
def test_what_may_not_be_updated_is_not_made_again(allowed: set[str], taken: bool) -> None:
    image = make_image(properties={"x": "the operator's"})
    rights = patch.Rights(False, lambda _, action: action in allowed)
    steps = [patch.PatchOperation(patch.Op.ADD, ("x",), "mine")]
    if taken:
        assert patch.apply(image, steps, rights).properties == {"x": "mine"}
    else:
        with pytest.raises(errors.ProtectedProperty):
            patch.apply(image, steps, rights)
    assert patch.apply(make_image(), steps, patch.Rights(False, lambda _, action: action == "create")).properties == {
        "x": "mine"
    }
