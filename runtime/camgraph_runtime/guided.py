"""Guided Grad-CAM: the guided gradient of the image, kept where Grad-CAM looks (Selvaraju et al. 2017, section 3.2)."""

from __future__ import annotations

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.frame import Frame
from camgraph_runtime.laid import LaidMap
from camgraph_runtime.tiles import tiles
from camgraph_runtime.types import AnyArray, ByteArray, FloatArray

_MIDDLE = np.float32(0.5)
_SPREAD = np.float32(0.1)
_EPSILON = np.float32(1e-5)


def guided_grad_cam(image_gradient: AnyArray, heatmap: FloatArray, spec: pb.InputSpec) -> FloatArray:
    """The element-wise product of the guided gradient and the heatmap.

    Args:
        image_gradient: Gradient of the score with respect to the input tensor by guided backpropagation,
            [C, h_in, w_in], [h_in, w_in, C] or [h_in, w_in] as ``spec`` says.
        heatmap: Grad-CAM, float32 [h_in, w_in] in 0..1.
        spec: The input.

    Returns:
        float32 [h_in, w_in, 3], signed, channels in the order RGB (grey repeated; of other channels the first
        three, or the first), in units of score per unit of the input tensor.

    """
    gradient = _channels_last(image_gradient, spec.layout)
    if spec.channel_order == pb.CHANNEL_ORDER_BGR:
        gradient = gradient[:, :, ::-1]
    gradient = gradient[:, :, :3] if gradient.shape[2] >= 3 else np.repeat(gradient[:, :, :1], 3, axis=2)
    product: FloatArray = heatmap[:, :, None] * gradient.astype(np.float32, copy=False)
    return product


def _channels_last(gradient: AnyArray, layout: pb.Layout) -> AnyArray:
    if layout == pb.LAYOUT_NHW:
        return gradient[:, :, None]
    return gradient if layout == pb.LAYOUT_NHWC else gradient.transpose(1, 2, 0)


def guided_picture(guided: FloatArray, frame: Frame) -> ByteArray:
    """A guided map as a picture in the photo's frame.

    The values, with the mean taken away, are divided by (standard deviation + 1e-5), scaled by 0.1, shifted
    by 0.5 and cut to 0..1, as ``deprocess_image`` of grad-cam 1.5.7 does, bit for bit where the photo is the
    input; mean and standard deviation are those of all pixels and channels of the network's input. What lies
    outside the input is 0.5. Values that are not finite count as 0.

    Args:
        guided: float32 [h_in, w_in, 3], signed.
        frame: Where the photo lies in the network's input.

    Returns:
        uint8 [H, W, 3], RGB.

    """
    finite = np.where(np.isfinite(guided), guided, np.float32(0))
    centred = finite - np.mean(finite)
    spread = centred / (np.std(centred) + _EPSILON) * _SPREAD
    cut = np.clip(spread, -_MIDDLE, _MIDDLE)
    channels = [LaidMap(cut[:, :, channel], frame) for channel in range(cut.shape[2])]
    picture = np.empty((*frame.photo_size, len(channels)), np.uint8)
    for tile in tiles(*frame.photo_size):
        laid = np.stack([channel[tile] for channel in channels], axis=2)
        picture[tile] = (laid + _MIDDLE) * np.float32(255)
    return picture
