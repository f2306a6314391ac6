"""Checks a quantised graph against its surrogate, at the integers of a deployed run (docs/straight-through.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.quantised.integers import QuantisedValue, beyond, mask_of, spread
from camgraph_exporter.certificate.quantised.surrogate import make_surrogate
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.certificate.telling import draw_telling
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.storage import with_weights
from camgraph_exporter.targets.draw import Arrays

# A little below the deployed values, in steps: kinks at zero count as the rules count them, and of equal integers the
# first is the largest.
_BELOW = 1e-6
_RAMP = 0.4
_NUDGE = 1e-3


@dataclass
class Deployed:
    """One run of the explainable graph: `found` are its outputs, `integers` all that makes another run the same."""

    feeds: Arrays
    found: Arrays
    integers: Arrays


class Comparison:
    """A quantised graph, its surrogate for one layer, and a run of both from the same integers."""

    def __init__(self, subject: Subject, layer: pb.Layer) -> None:
        self._subject = subject
        self._layer = layer
        model = with_weights(subject.flat, subject.folder)
        self._surrogate = make_surrogate(model, layer.name, subject.manifest.head.score_tensor)
        self._evaluator = Float64Evaluator(self._surrogate.model)
        self.deployed = self._run()
        self._linear = self._linearise()

    def outputs(self, names: Sequence[str], *, activations: np.ndarray) -> Arrays:
        """Compute outputs of the explainable graph itself in float64, from the deployed integers.

        `activations` [N, K, h, w] are taken by a layer that is not made of integers.
        """
        feeds = {**self.deployed.feeds, **self.deployed.integers}
        if self._surrogate.layer_integers is None:
            feeds[self._layer.name] = self._subject.at_layer(self._layer, self.deployed.feeds)(activations)
        return self._subject.run_in_float64(feeds, names)

    def scores(self, activations: np.ndarray) -> np.ndarray:
        """Return the surrogate's scores [N, T] at activations [N, K, h, w] near the deployed ones."""
        name = self._subject.manifest.target.target_score_output
        feeds = {**self.deployed.feeds, **self._linear, **self._layer_feed(activations)}
        return np.asarray(self._evaluator.run([name], feeds)[0], dtype=np.float64)

    def distance(self) -> dict[str, float]:
        """Return how far integers are from the real form of their operators, in steps; rounding alone makes 1/4.

        Wider integers are measured in steps of 8 bits: runtimes compute their products less exactly.
        """
        errors = {}
        for integer in self._surrogate.moving:
            if integer.clips and integer.between is None:
                q, step = self.deployed.integers[integer.name], self._linear[integer.step]
                limits = np.iinfo(q.dtype)
                offset = self._linear[f"{integer.name}/offset"]
                wanted = np.clip(self._linear[integer.origin] / step + offset, limits.min, limits.max)
                errors[integer.name] = float(np.abs(wanted - q).mean()) / _steps_of_8_bits(q.dtype)
        return errors

    @property
    def activations(self) -> np.ndarray:
        """Activations [N, K, h, w] of the deployed run, float64."""
        return self.deployed.found[self._layer.activations_tensor].astype(np.float64)

    @property
    def base(self) -> np.ndarray:
        """The point [N, K, h, w] of comparison: the deployed one, with ties broken if the layer has no integers."""
        real = self.activations
        if self._surrogate.layer_integers is not None:
            return real
        return real - _NUDGE * float(np.sqrt(np.mean(real**2))) * (1 + _ramp(real.shape))

    def _run(self) -> Deployed:
        """Run the graph as it is deployed, with its integers as further outputs."""
        subject, surrogate = self._subject, self._surrogate
        model = onnx.ModelProto()
        model.CopyFrom(subject.flat)
        names = [integer.name for integer in (*surrogate.moving, *surrogate.fixed)] + surrogate.observed
        known = {value.name for value in (*model.graph.output, *model.graph.input)}
        for name in dict.fromkeys(names):
            if name not in known:
                model.graph.output.add(name=name)
        feeds = draw_telling(subject, "quantised-surrogate", subject.smallest_batch, 2).feeds
        found = subject.load(model).run(feeds)
        integers = {name: found[name] if name in found else feeds[name] for name in names}
        return Deployed(subject.resolved(feeds, found), found, integers)

    def _linearise(self) -> Arrays:
        """Return what the surrogate is fed with: r0, the masks, and x0, which one evaluation at r0 gives."""
        surrogate = self._surrogate
        linear: Arrays = dict(self._quantities())
        at_base = {x.real: linear[x.base] for x in surrogate.moving}
        self._base = linear.get(f"{surrogate.layer_integers}/base", np.zeros(()))
        names = [x.rounded for x in surrogate.moving]
        layer = self._layer_feed(self.base)
        found = self._evaluator.run(names, {**self.deployed.feeds, **linear, **at_base, **layer})
        for x, value in zip(surrogate.moving, found, strict=True):
            linear[x.origin] = value
            # What was clipped is seen where the numbers that the operator makes of deployed integers lie beyond the
            # type: no rule is asked there.
            q, places = self.deployed.integers[x.name], value / linear[x.step] + linear[f"{x.name}/offset"]
            linear[x.mask] = np.where(beyond(x, q, places, _steps_of_8_bits(q.dtype)), 0.0, linear[x.mask])
        return linear

    def _quantities(self) -> Iterator[tuple[str, np.ndarray]]:
        surrogate, run = self._surrogate, self.deployed
        for name in surrogate.observed:
            yield name, run.integers[name]
        for integer in (*surrogate.moving, *surrogate.fixed):
            q = run.integers[integer.name]
            step, offset = self._step(integer, q.ndim)
            real = (q.astype(np.float64) - offset) * step
            below = _BELOW * _steps_of_8_bits(q.dtype) + (_RAMP * _ramp(q.shape) if integer.is_chosen_from else 0.0)
            yield integer.step, np.asarray(step)
            yield f"{integer.name}/offset", np.asarray(offset)
            yield integer.mask, mask_of(integer, q, real, step)
            yield integer.base, real - below * step
            if integer in surrogate.fixed:
                yield integer.real, real - below * step

    def _step(self, integer: QuantisedValue, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scale and zero point of an integer value, so shaped that they broadcast."""
        found, axis = integer.quantisation, integer.quantisation.axis
        scales = [self._number(str(scale.name)) for scale in found.scales]
        step = np.prod([spread(scale, rank, axis) for scale in scales], axis=0) * found.factor
        offset = self._number(str(found.zero_point.name)) if found.zero_point is not None else np.zeros(())
        return step, spread(offset, rank, axis)

    def _number(self, name: str) -> np.ndarray:
        observed = self.deployed.integers.get(name)
        return observed if observed is not None else self._subject.evaluator.run([name], self.deployed.feeds)[0]

    def _layer_feed(self, activations: np.ndarray) -> Arrays:
        """Feed the layer: deployed values plus the change of its activations; tokens outside the map stay."""
        at_layer = self._subject.at_layer(self._layer, self.deployed.feeds)
        if self._surrogate.layer_integers is None:
            return {self._surrogate.layer: at_layer(activations)}
        return {self._surrogate.layer: self._base + (at_layer(activations) - at_layer(self.activations))}


def _steps_of_8_bits(dtype: np.dtype[Any]) -> float:
    """Return how many steps of an integer type make one of an 8-bit type with the same range."""
    return float(2.0 ** (8 * dtype.itemsize - 8))


def _ramp(shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers from 0 to 1 that rise along each map [h, w] in scan order."""
    places = shape[2:] or shape[-1:]
    count = int(np.prod(places))
    return (np.arange(count) / max(count, 1)).reshape(places)
