"""Images of many bands: their names, the range of their values, and the certificate that draws from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter import Input
from camgraph_exporter.certificate.samples import Samples
from camgraph_exporter.errors import CertificateError
from support.exporting import camgraph, complaint, in_memory
from support.image_models import SIDE, classifier, column, then
from support.nets import Net

SENTINEL = ("B02", "B03", "B04", "B08")
SHAPE = ("N", 4, SIDE, SIDE)


def optical_depth(net: Net, x: str) -> str:
    """The exponential of reflectance in 0..1, which is too large for a float from 89 on."""
    return net.node("Exp", x)


@pytest.mark.parametrize("channels", [2, 4, 6, 13, 20])
def test_the_manifest_has_names_means_and_ranges_of_each_band(channels: int, tmp_path: Path) -> None:
    names = [f"B{number:02}" for number in range(channels)]
    means, stds = [0.01 * number for number in range(channels)], [0.1 + 0.01 * number for number in range(channels)]
    model = classifier(None, ("N", channels, SIDE, SIDE), channels=channels)
    stated = Input(divisor=10000, mean=means, std=stds, bands=names, value_range=(0, 10000))
    spec = in_memory(model, tmp_path, input=stated).manifest.input
    assert spec.channel_order == pb.CHANNEL_ORDER_STORED
    assert list(spec.band_names) == names
    assert list(spec.mean) == means
    assert list(spec.std) == stds
    assert (list(spec.value_low), list(spec.value_high)) == ([0] * channels, [10000] * channels)
    assert spec.stated


def test_the_certificate_draws_in_the_stated_range(tmp_path: Path) -> None:
    model = classifier(None, SHAPE, channels=4)
    ends = (0, 10000, 0, 10000, -30, 0, 200, 340)
    exported = in_memory(model, tmp_path, input=Input(divisor=1, mean=[0] * 4, std=[1] * 4, value_range=ends))
    for smooth in (True, False):
        drawn = Samples(exported.manifest, 0, "any").images(8, smooth=smooth)
        low, high = drawn.min((0, 2, 3)), drawn.max((0, 2, 3))
        assert (low >= ends[::2]).all()
        assert (high <= ends[1::2]).all()
        assert (high - low > 0.7 * np.subtract(ends[1::2], ends[::2])).all()


def test_a_network_that_overflows_at_255_is_proven_in_its_own_range(tmp_path: Path) -> None:
    model = classifier(optical_depth, SHAPE, channels=4)
    with pytest.raises(CertificateError):
        in_memory(model, tmp_path, input=Input(divisor=1, mean=(0,), std=(1,)))
    assert in_memory(model, tmp_path, input=Input(value_range=(0, 1))).manifest.certificate.checks


def test_a_range_alone_lets_values_in_as_they_are_and_says_that_this_is_a_guess(tmp_path: Path) -> None:
    onnx.save(classifier(None, SHAPE, channels=4), tmp_path / "model.onnx")
    out = tmp_path / "cam.onnx"
    bands = ["--bands", ",".join(SENTINEL), "--value-range", "0,1"]
    done = camgraph("export", tmp_path / "model.onnx", "-o", out, *bands)
    assert done.exit_code == 0, done.output
    assert (
        "the input was guessed (STORED NCHW, bands B02 B03 B04 B08, values 0..1, "
        "(x / 1 - [0, 0, 0, 0]) / [1, 1, 1, 1]" in done.stderr.replace("\n", " ")
    )


def test_one_and_three_named_bands_go_in_as_they_are_stored(tmp_path: Path) -> None:
    for channels in (1, 3):
        model = classifier(None, ("N", channels, SIDE, SIDE), channels=channels)
        names = SENTINEL[:channels]
        spec = in_memory(model, tmp_path, input=Input(bands=names, divisor=1, mean=(0,), std=(1,))).manifest.input
        assert spec.channel_order == pb.CHANNEL_ORDER_STORED


def test_a_graph_that_scales_reflectance_itself_takes_it_as_it_is(tmp_path: Path) -> None:
    def scaled(net: Net, x: str) -> str:
        return net.node("Div", x, net.weight(column([10000] * 4)))

    model = classifier(then(scaled), SHAPE, channels=4)
    spec = in_memory(model, tmp_path, input=Input(value_range=(0, 10000))).manifest.input
    assert (spec.divisor, list(spec.mean), list(spec.std)) == (1, [0] * 4, [1] * 4)


REFUSED = {
    "a name too few": (["--bands", "a,b,c"], "The input has 4 channels, but 3 bands were named."),
    "a name twice": (["--bands", "a,b,a,c"], "Two bands are called 'a'."),
    "an empty name": (["--bands", "a,b,,c"], "1 to 64 characters"),
    "an odd number": (["--value-range", "0,1,2"], "a low and a high number for each channel, but 3 were given."),
    "too many": (["--value-range", "0,1,0,1,0,1"], "value_range has 6 numbers. Give 2 or 8."),
    "backwards": (["--value-range", "1,0"], "from a low to a higher number, but this is 1 to 0."),
    "not finite": (["--value-range", "0,inf"], "from a low to a higher number, but this is 0 to inf."),
    "bytes": (["--value-range", "0,1", "--divisor", "1", "--uint8-input"], "Leave the option out."),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_the_channels_is_refused(options: list[str], said: str, tmp_path: Path) -> None:
    onnx.save(classifier(None, SHAPE, channels=4), tmp_path / "model.onnx")
    result = camgraph("export", tmp_path / "model.onnx", "-o", tmp_path / "cam.onnx", *options)
    assert said in complaint(result, exit_code=2)


def test_photos_have_no_range_of_their_own(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "model.onnx")
    with pytest.raises(UsageError, match=r"the channel order is 'rgb', whose pixels are 0\.\.255"):
        in_memory(classifier(), tmp_path, input=Input(channel_order="rgb", value_range=(0, 1)))
