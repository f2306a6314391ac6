"""The methods that turn activations and gradients of one layer into a map: a registry of short functions.

A method takes A [K, h, w] (activations), weights [K] (the mean over h, w of the gradient) and G [K, h, w]
(the gradient of the score with respect to A, or None), all float32, and returns the signed map [h, w],
float32, before ReLU and scaling. A new method is one function here; docs/adding-a-method.md shows it.

The expressions keep the order of operations of the package grad-cam 1.5.7, so that equal A and G give equal
bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camgraph_core.errors import UnsupportedError
from camgraph_core.names import unknown_name
from camgraph_core.types import FloatArray

MapFunction = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Method:
    """A CAM method.

    Attributes:
        name: Name, as on the command line.
        needs_gradients: It reads the full gradient G; such a graph is exported with ``--gradients``.
        class_dependent: Its map depends on the target; only EigenCAM's does not.
        needs_image_gradient: It multiplies the heatmap with the guided gradient of the image; such a graph is
            exported with ``--guided``.
        formula: The map in the letters of docs/methods.md, which lists it.
        source: The paper.

    """

    name: str
    needs_gradients: bool
    class_dependent: bool
    formula: str
    source: str
    needs_image_gradient: bool
    _function: MapFunction

    def __call__(self, activations: FloatArray, weights: FloatArray, gradients: FloatArray | None = None) -> FloatArray:
        """The signed map [h, w] of A [K, h, w], weights [K] and, where the method needs it, G [K, h, w].

        Raises:
            UnsupportedError: The method needs G and there is none.

        """
        if self.needs_gradients and gradients is None:
            raise UnsupportedError(
                f"The method {self.name} needs full gradients, which this graph does not give. "
                "Export the model with --gradients, or use grad-cam."
            )
        return self._function(activations, weights, activations if gradients is None else gradients)


METHODS: dict[str, Method] = {}


def method(
    name: str,
    *,
    formula: str,
    source: str,
    needs_gradients: bool = False,
    class_dependent: bool = True,
    needs_image_gradient: bool = False,
) -> Callable[[MapFunction], Method]:
    """Registers a map function under a name."""

    def register(function: MapFunction) -> Method:
        METHODS[name] = Method(name, needs_gradients, class_dependent, formula, source, needs_image_gradient, function)
        return METHODS[name]

    return register


def get_method(name: str) -> Method:
    """The method of a name.

    Raises:
        UsageError: There is none; the closest names are offered.

    """
    if name not in METHODS:
        raise unknown_name("CAM method", name, METHODS)
    return METHODS[name]


def weighted_sum(weights: FloatArray, activations: FloatArray) -> FloatArray:
    """Map [h, w]: the sum over k of weights[k] * A[k]."""
    total: FloatArray = np.einsum("k,khw->hw", weights, activations)  # without an array of all products
    return total


@method(
    "grad-cam",
    formula="`sum alpha A`, `alpha[k]` = mean of `G[k]` over its cells",
    source="Selvaraju et al. 2017, equations 1 and 2",
)
def grad_cam(activations: FloatArray, weights: FloatArray, _: FloatArray) -> FloatArray:
    """Channels weighted by their mean gradient."""
    return weighted_sum(weights, activations)


@method(
    "guided-grad-cam",
    formula="`sum alpha A`, and beside it the guided gradient of the image",
    source="Selvaraju et al. 2017, section 3.2",
    needs_image_gradient=True,
)
def guided_grad_cam(activations: FloatArray, weights: FloatArray, _: FloatArray) -> FloatArray:
    """The map of Grad-CAM; `camgraph_runtime.maps.guided` multiplies it with the image's gradient."""
    return weighted_sum(weights, activations)


@method(
    "grad-cam++",
    formula="`sum w A`, `w[k]` = sum over cells of `relu(G) G^2 / (2 G^2 + S G^3 + 1e-6)`, zero where G is zero",
    source="Chattopadhay et al. 2018, equation 19",
    needs_gradients=True,
)
def grad_cam_plus_plus(activations: FloatArray, _: FloatArray, gradients: FloatArray) -> FloatArray:
    """Channels weighted by their positive gradients, each cell by its share."""
    return weighted_sum(grad_cam_plus_plus_weights(activations, gradients), activations)


@method(
    "xgrad-cam",
    formula="`sum w A`, `w[k]` = sum over cells of `G A / (S + 1e-7)`",
    source="Fu et al. 2020, equation 8",
    needs_gradients=True,
)
def xgrad_cam(activations: FloatArray, _: FloatArray, gradients: FloatArray) -> FloatArray:
    """Channels weighted by their gradient, averaged by activation."""
    return weighted_sum(xgrad_cam_weights(activations, gradients), activations)


@method("layer-cam", formula="`sum relu(G) A`", source="Jiang et al. 2021, equation 5", needs_gradients=True)
def layer_cam(activations: FloatArray, _: FloatArray, gradients: FloatArray) -> FloatArray:
    """Each cell weighted by its own positive gradient."""
    total: FloatArray = (np.maximum(gradients, 0) * activations).sum(axis=0)
    return total


@method("hires-cam", formula="`sum G A`", source="Draelos and Carin 2020, equation 3", needs_gradients=True)
def hires_cam(activations: FloatArray, _: FloatArray, gradients: FloatArray) -> FloatArray:
    """Each cell weighted by its own gradient."""
    total: FloatArray = (gradients * activations).sum(axis=0)
    return total


@method(
    "grad-cam-elementwise",
    formula="`sum relu(G A)`",
    source="Pillai and Pirsiavash 2021, section 3",
    needs_gradients=True,
)
def grad_cam_elementwise(activations: FloatArray, _: FloatArray, gradients: FloatArray) -> FloatArray:
    """Each cell weighted by its own gradient; only positive products count."""
    total: FloatArray = np.maximum(gradients * activations, 0).sum(axis=0)
    return total


@method(
    "eigen-cam",
    formula="the cells of A, centred per channel, projected on their first right singular vector",
    source="Muhammad and Yeasin 2020",
    class_dependent=False,
)
def eigen_cam(activations: FloatArray, _: FloatArray, __: FloatArray) -> FloatArray:
    """First principal component of the activations; does not depend on the class."""
    return first_component(activations)


@method(
    "eigen-grad-cam",
    formula="the same of `G A`",
    source="Muhammad and Yeasin 2020, with the gradients of grad-cam 1.5.7",
    needs_gradients=True,
)
def eigen_grad_cam(activations: FloatArray, _: FloatArray, gradients: FloatArray) -> FloatArray:
    """First principal component of the activations times their gradients."""
    return first_component(gradients * activations)


def grad_cam_plus_plus_weights(activations: FloatArray, gradients: FloatArray) -> FloatArray:
    """Channel weights [K] of Grad-CAM++.

    The sum over cells of relu(G) * G^2 / (2 G^2 + S G^3 + 1e-6), with S the sum of A over cells.
    """
    squared = gradients**2
    cubed = squared * gradients
    total = activations.sum(axis=(1, 2))[:, None, None]
    share = squared / (np.float32(2) * squared + total * cubed + np.float32(1e-6))
    share = np.where(gradients != 0, share, np.float32(0))
    weights: FloatArray = np.sum(np.maximum(gradients, 0) * share, axis=(1, 2))
    return weights


def xgrad_cam_weights(activations: FloatArray, gradients: FloatArray) -> FloatArray:
    """Channel weights [K] of XGrad-CAM: the sum over cells of G * A / (S + 1e-7), S = sum of A."""
    total = activations.sum(axis=(1, 2))[:, None, None]
    weights: FloatArray = (gradients * activations / (total + np.float32(1e-7))).sum(axis=(1, 2))
    return weights


def first_component(values: FloatArray) -> FloatArray:
    """Map [h, w]: positions [h * w, K], centred per channel, projected on their first right singular vector.

    NaN counts as 0. The sign of a singular vector is arbitrary; here the cell of largest magnitude is
    positive (grad-cam keeps whatever sign LAPACK returned).
    """
    channels, height, width = values.shape
    positions = np.nan_to_num(values.reshape(channels, -1).T, nan=0.0, posinf=np.inf, neginf=-np.inf)
    if not np.isfinite(positions).all():  # a decomposition of infinities raises; the map says so instead
        return np.full((height, width), np.nan, np.float32)
    projection = _first_projection((positions - positions.mean(axis=0)).astype(np.float64))
    if projection[np.argmax(np.abs(projection))] < 0:
        projection = -projection
    return np.float32(projection).reshape(height, width)


def _first_projection(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows [P, K] projected on their first right singular vector, [P], in either sign.

    The eigenvector of the smaller Gram matrix gives it, many times faster than a singular value decomposition
    of the whole. It squares the condition number, which float64 has to spare.
    """
    rows, columns = positions.shape
    if rows <= columns:
        squares, vectors = np.linalg.eigh(positions @ positions.T)
        return np.asarray(vectors[:, -1] * np.sqrt(max(squares[-1], 0.0)))
    _, vectors = np.linalg.eigh(positions.T @ positions)
    return np.asarray(positions @ vectors[:, -1])
