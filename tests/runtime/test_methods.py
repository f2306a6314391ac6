"""The registry of methods and profiles: names, refusals, and what the formulas mean on small arrays."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph_core.errors import UnsupportedError, UsageError
from camgraph_runtime.maps.cam import METHODS, first_component, get_method
from camgraph_runtime.maps.profiles import PROFILES, get_profile, min_max

RANDOM = np.random.default_rng(2)
A = RANDOM.normal(size=(5, 4, 6)).astype(np.float32)
G = RANDOM.normal(size=(5, 4, 6)).astype(np.float32)


def test_unknown_names_offer_the_closest() -> None:
    with pytest.raises(UsageError, match=r"no CAM method 'GradCam'. Did you mean grad-cam"):
        get_method("GradCam")
    with pytest.raises(UsageError, match="There are grad-cam, "):
        get_method("zzz")
    with pytest.raises(UsageError, match="There are pytorch-grad-cam, raw"):
        get_profile("zzz")


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.needs_gradients])
def test_gradients_are_demanded(name: str) -> None:
    with pytest.raises(UnsupportedError, match=r"needs full gradients, .* --gradients"):
        METHODS[name](A, G.mean(axis=(1, 2)))


def test_weights_alone_are_enough_for_grad_cam_and_nothing_for_eigen_cam() -> None:
    weights = G.mean(axis=(1, 2))
    expected = np.einsum("k,khw->hw", weights, A)
    np.testing.assert_allclose(METHODS["grad-cam"](A, weights), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(METHODS["eigen-cam"](A, weights), METHODS["eigen-cam"](A, 0 * weights))


def test_methods_differ_where_gradients_vary() -> None:
    maps = [method(A, G.mean(axis=(1, 2)), G) for method in METHODS.values() if not method.needs_image_gradient]
    for i, one in enumerate(maps):
        assert one.shape == (4, 6)
        assert one.dtype == np.float32
        assert not any(np.allclose(one, other) for other in maps[:i])


def test_guided_grad_cam_has_the_map_of_grad_cam() -> None:
    weights = G.mean(axis=(1, 2))
    np.testing.assert_array_equal(METHODS["guided-grad-cam"](A, weights), METHODS["grad-cam"](A, weights))


def test_linear_methods_add_up_over_targets() -> None:
    """Contrast rests on this: the map of a difference is the difference of the maps."""
    for name in ("grad-cam", "hires-cam", "xgrad-cam"):
        one, two = METHODS[name](A, G.mean(axis=(1, 2)), G), METHODS[name](A, A.mean(axis=(1, 2)), A)
        both = METHODS[name](A, (G - A).mean(axis=(1, 2)), G - A)
        np.testing.assert_allclose(both, one - two, rtol=1e-4, atol=1e-4)


def test_the_first_component_points_to_its_largest_cell() -> None:
    for values in (A, -A):
        component = first_component(values)
        assert component.ravel()[np.argmax(np.abs(component))] > 0
    np.testing.assert_allclose(first_component(A), first_component(-A), rtol=1e-4, atol=1e-5)


def test_a_constant_stack_has_a_zero_component() -> None:
    np.testing.assert_array_equal(first_component(np.ones((3, 4, 4), np.float32)), np.zeros((4, 4)))


def test_raw_returns_the_same_array_and_refuses_several() -> None:
    raw = PROFILES["raw"]
    assert raw([A[0]], (100, 100)) is A[0] or np.shares_memory(raw([A[0]], (100, 100)), A)
    with pytest.raises(UsageError, match="takes one layer"):
        raw([A[0], A[1]], (100, 100))


def test_min_max_reaches_almost_one() -> None:
    scaled = min_max(np.array([[2, 4, 6]], np.float32))
    np.testing.assert_allclose(scaled, [[0, 0.5, 1]], atol=1e-6)
