"""What explains images: a graph in this process, or a model of a server. Both have this one method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.painter import ImageSource
from camgraph_core.request import DEFAULT_PROFILE, Request
from camgraph_core.style import Style
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window, window_from

_STYLE, _REQUEST = Style(), Request()

R = TypeVar("R")


class Explains(ABC, Generic[R]):
    """Explains images; ``explain`` gives a `Result`, or what is awaited for one."""

    def explain(
        self,
        image: ImageSource | None = None,
        *,
        tensor: AnyArray | None = None,
        window: Window | str | None = None,
        frame: int | None = None,
        nodata: float | None = None,
        scaled_decoding: bool = False,
        targets: Sequence[Target] = (),
        top_k: int = 0,
        method: str | None = None,
        layers: Sequence[str] = (),
        profile: str = DEFAULT_PROFILE,
        num_predictions: int = _REQUEST.num_predictions,
        score_threshold: float = _REQUEST.score_threshold,
        iou_threshold: float = _REQUEST.iou_threshold,
        outputs: Sequence[str] = (),
        colormap: str = _STYLE.colormap,
        image_weight: float = _STYLE.image_weight,
        opacity: str = _STYLE.opacity,
        jpeg_quality: int = _STYLE.jpeg_quality,
        png_level: int | None = _STYLE.png_level,
        max_side: int | None = _STYLE.max_side,
        hot_from: float = _STYLE.hot_from,
        display_bands: Sequence[str] = (),
        stretch: tuple[float, float] | None = None,
        bank: bool = False,
        request_id: str = "",
    ) -> R:
        """Classifies one image and explains classes of it; of an embedding model gives the embedding.

        Args:
            image: Bytes or path of a picture or a NumPy file, an array [H, W] or [H, W, C], or a Pillow image.
            tensor: Instead of an image, a ready input tensor of shape [1, ...], as the manifest's input says.
            window: The values of the image that become 0 and 255, where it is not of 8 bits, or their name, such as
                "lung"; see docs/inputs.md for the names, and for what is done without.
            frame: Number of the frame of a DICOM file, from 1; may be left out if there is one.
            nodata: The value of an image of stored channels that stands for no data, beside NaN and what a TIFF itself
                names so. Such pixels are filled with the mean of their band, and left unpainted.
            scaled_decoding: Decodes a large JPEG at 1/2, 1/4 or 1/8 of its size, as far as the network's input and
                ``max_side`` of the pictures allow: cheaper, and scores and maps move a little, see docs/inputs.md.
            targets: What to explain. Of an embedding model nothing is explained without any, and the result has the
                embedding.
            top_k: Also explains the k best classes, after ``targets``; with neither, the best class. Of a detection the
                k best objects, or as many as there are.
            method: CAM method, see docs/methods.md; by default the manifest's.
            layers: Target layers by name or alias, fused if several; by default the manifest's first.
            profile: Post-processing: "pytorch-grad-cam", or "raw" for the signed map.
            num_predictions: Number of best classes (of a detection, objects) to list.
            score_threshold: Of a detection the least score of an object that is listed: its probability where the
                model gives one, 0..1.
            iou_threshold: Of a detection, two boxes of one class whose intersection over union is larger are one
                object, 0..1.
            outputs: What to give back of each target, names of `camgraph_core.outputs.OUTPUTS`; by default the heatmap.
                A server sends these and no others. In one process all can be read, and these are checked beforehand.
            colormap: Colour map of overlays.
            image_weight: Weight of the photo against the colours in overlays, 0..1.
            opacity: Where the colours of overlays cover the photo: "even" everywhere alike, as grad-cam does; "heat"
                more where it is hotter. A panel has an opacity of its own.
            jpeg_quality: Quality of JPEGs, 1..100.
            png_level: Effort of the compression of PNGs, 0 (none) to 9 (smallest); by default the encoder's own, which
                is fast.
            max_side: Longest side in pixels of pictures and of the heatmap. The photo is shrunk first, and nothing
                larger is computed; by default the size of the photo.
            hot_from: The heat from which on a cell of the heatmap belongs to a hot region, above 0 and up to 1.
            display_bands: Of an image of bands those that pictures show, one as grey or three as red, green and blue,
                each by its name or its number from 1; by default those that are called so, or the first ones. With
                them, a ready tensor has pictures too.
            stretch: Percentiles of these bands that are black and white, such as (2, 98); by default these, and pixels
                of 8 bits stay as they are.
            bank: Also say how far the image is from the memory bank of the model (docs/factory.md): as one more
                explanation, the last one, whose score is the image's distance and whose heat is that of its places.
            request_id: Comes back in the result, and is written to a server's log.

        Raises:
            InvalidInputError: The image, the tensor or a target cannot be used, or an output is not possible for it.
            UsageError: The model, layer, method, profile or an output does not exist, a number is out of range, or
                things that do not go together were asked for.
            UnsupportedError: The graph lacks what the method, a target or a photo needs.
            InferenceError: onnxruntime failed, in this process.
            RemoteError: The server gave no answer, or failed.

        """
        request = Request(
            targets=targets,
            top_k=top_k,
            method=method,
            layers=layers,
            profile=profile,
            num_predictions=num_predictions,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            outputs=outputs,
            style=Style(
                colormap=colormap,
                image_weight=image_weight,
                opacity=opacity,
                jpeg_quality=jpeg_quality,
                png_level=png_level,
                max_side=max_side,
                hot_from=hot_from,
                display_bands=display_bands,
                stretch=stretch,
            ),
            window=window_from(window) if isinstance(window, str) else window,
            frame=frame,
            nodata=nodata,
            scaled_decoding=scaled_decoding,
            bank=bank,
            request_id=request_id,
        )
        check_subject(image, tensor, request)
        return self._explain(image, tensor, request)

    @abstractmethod
    def _explain(self, image: ImageSource | None, tensor: AnyArray | None, request: Request) -> R:
        """Answers a request about an image or a tensor; one of them is None."""


def check_subject(image: ImageSource | None, tensor: AnyArray | None, request: Request) -> None:
    """Checks that a request is about one thing.

    Raises:
        InvalidInputError: There is neither an image nor a tensor, or both.
        UsageError: A tensor has a window, a frame, or a value for no data.

    """
    if (image is None) == (tensor is None):
        raise InvalidInputError("Give either an image or a tensor to explain.")
    of_image = {"A window": request.window, "A frame": request.frame, "A value for no data": request.nodata}
    for name, value in of_image.items():
        if value is not None and image is None:
            raise UsageError(f"{name} is for an image; a tensor goes in as it is.")
