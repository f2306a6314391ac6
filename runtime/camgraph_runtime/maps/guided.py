"""Guided Grad-CAM: the guided gradient of the image, kept where Grad-CAM looks (Selvaraju et al. 2017, section 3.2)."""

from __future__ import annotations

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import AnyArray, FloatArray


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
