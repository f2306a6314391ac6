from camgraph.v1 import manifest_pb2 as _manifest_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReferenceMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFERENCE_MODE_UNSPECIFIED: _ClassVar[ReferenceMode]
    REFERENCE_MODE_MEAN: _ClassVar[ReferenceMode]
    REFERENCE_MODE_NEAREST: _ClassVar[ReferenceMode]

class Profile(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_UNSPECIFIED: _ClassVar[Profile]
    PROFILE_PYTORCH_GRAD_CAM: _ClassVar[Profile]
    PROFILE_RAW: _ClassVar[Profile]

class OutputKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_KIND_UNSPECIFIED: _ClassVar[OutputKind]
    OUTPUT_KIND_HEATMAP: _ClassVar[OutputKind]
    OUTPUT_KIND_HEATMAP_PNG: _ClassVar[OutputKind]
    OUTPUT_KIND_OVERLAY_PNG: _ClassVar[OutputKind]
    OUTPUT_KIND_OVERLAY_JPEG: _ClassVar[OutputKind]
    OUTPUT_KIND_RAW_MAP: _ClassVar[OutputKind]
    OUTPUT_KIND_INPUT_HEATMAP: _ClassVar[OutputKind]
    OUTPUT_KIND_WEIGHTS: _ClassVar[OutputKind]
    OUTPUT_KIND_ACTIVATIONS: _ClassVar[OutputKind]
    OUTPUT_KIND_GUIDED: _ClassVar[OutputKind]
    OUTPUT_KIND_GUIDED_PNG: _ClassVar[OutputKind]
    OUTPUT_KIND_HOT_REGIONS: _ClassVar[OutputKind]

class Colormap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLORMAP_UNSPECIFIED: _ClassVar[Colormap]
    COLORMAP_JET: _ClassVar[Colormap]
    COLORMAP_VIRIDIS: _ClassVar[Colormap]
    COLORMAP_TURBO: _ClassVar[Colormap]
    COLORMAP_INFERNO: _ClassVar[Colormap]

class Opacity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPACITY_UNSPECIFIED: _ClassVar[Opacity]
    OPACITY_EVEN: _ClassVar[Opacity]
    OPACITY_HEAT: _ClassVar[Opacity]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
    MODEL_STATE_UNLOADED: _ClassVar[ModelState]
REFERENCE_MODE_UNSPECIFIED: ReferenceMode
REFERENCE_MODE_MEAN: ReferenceMode
REFERENCE_MODE_NEAREST: ReferenceMode
PROFILE_UNSPECIFIED: Profile
PROFILE_PYTORCH_GRAD_CAM: Profile
PROFILE_RAW: Profile
OUTPUT_KIND_UNSPECIFIED: OutputKind
OUTPUT_KIND_HEATMAP: OutputKind
OUTPUT_KIND_HEATMAP_PNG: OutputKind
OUTPUT_KIND_OVERLAY_PNG: OutputKind
OUTPUT_KIND_OVERLAY_JPEG: OutputKind
OUTPUT_KIND_RAW_MAP: OutputKind
OUTPUT_KIND_INPUT_HEATMAP: OutputKind
OUTPUT_KIND_WEIGHTS: OutputKind
OUTPUT_KIND_ACTIVATIONS: OutputKind
OUTPUT_KIND_GUIDED: OutputKind
OUTPUT_KIND_GUIDED_PNG: OutputKind
OUTPUT_KIND_HOT_REGIONS: OutputKind
COLORMAP_UNSPECIFIED: Colormap
COLORMAP_JET: Colormap
COLORMAP_VIRIDIS: Colormap
COLORMAP_TURBO: Colormap
COLORMAP_INFERNO: Colormap
OPACITY_UNSPECIFIED: Opacity
OPACITY_EVEN: Opacity
OPACITY_HEAT: Opacity
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_FAILED: ModelState
MODEL_STATE_UNLOADED: ModelState

class ExplainRequest(_message.Message):
    __slots__ = ("model_name", "model_version", "image", "tensor", "frames", "targets", "top_k", "method", "layers", "profile", "outputs", "overlay", "num_predictions", "request_id", "max_side", "score_threshold", "iou_threshold", "bank")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    NUM_PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_SIDE_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    IOU_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    model_version: str
    image: EncodedImage
    tensor: Tensor
    frames: EncodedFrames
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    top_k: int
    method: str
    layers: _containers.RepeatedScalarFieldContainer[str]
    profile: Profile
    outputs: _containers.RepeatedScalarFieldContainer[OutputKind]
    overlay: OverlayOptions
    num_predictions: int
    request_id: str
    max_side: int
    score_threshold: float
    iou_threshold: float
    bank: bool
    def __init__(self, model_name: _Optional[str] = ..., model_version: _Optional[str] = ..., image: _Optional[_Union[EncodedImage, _Mapping]] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., frames: _Optional[_Union[EncodedFrames, _Mapping]] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., top_k: _Optional[int] = ..., method: _Optional[str] = ..., layers: _Optional[_Iterable[str]] = ..., profile: _Optional[_Union[Profile, str]] = ..., outputs: _Optional[_Iterable[_Union[OutputKind, str]]] = ..., overlay: _Optional[_Union[OverlayOptions, _Mapping]] = ..., num_predictions: _Optional[int] = ..., request_id: _Optional[str] = ..., max_side: _Optional[int] = ..., score_threshold: _Optional[float] = ..., iou_threshold: _Optional[float] = ..., bank: bool = ...) -> None: ...

class EncodedImage(_message.Message):
    __slots__ = ("data", "window", "scaled_decoding", "nodata", "frame")
    DATA_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SCALED_DECODING_FIELD_NUMBER: _ClassVar[int]
    NODATA_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    window: Window
    scaled_decoding: bool
    nodata: float
    frame: int
    def __init__(self, data: _Optional[bytes] = ..., window: _Optional[_Union[Window, _Mapping]] = ..., scaled_decoding: bool = ..., nodata: _Optional[float] = ..., frame: _Optional[int] = ...) -> None: ...

class EncodedFrames(_message.Message):
    __slots__ = ("files", "window")
    FILES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedScalarFieldContainer[bytes]
    window: Window
    def __init__(self, files: _Optional[_Iterable[bytes]] = ..., window: _Optional[_Union[Window, _Mapping]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("dtype", "shape", "data")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("class_index", "label", "rank", "contrast", "negative", "mask", "anchor_index", "anchor_rank", "cotangent", "object_rank", "point", "polygon", "region_rank", "score_mask", "references")
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_INDEX_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_RANK_FIELD_NUMBER: _ClassVar[int]
    COTANGENT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_RANK_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    REGION_RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_MASK_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    class_index: int
    label: str
    rank: int
    contrast: Target
    negative: bool
    mask: Tensor
    anchor_index: int
    anchor_rank: int
    cotangent: Tensor
    object_rank: int
    point: Point
    polygon: Polygon
    region_rank: int
    score_mask: Tensor
    references: References
    def __init__(self, class_index: _Optional[int] = ..., label: _Optional[str] = ..., rank: _Optional[int] = ..., contrast: _Optional[_Union[Target, _Mapping]] = ..., negative: bool = ..., mask: _Optional[_Union[Tensor, _Mapping]] = ..., anchor_index: _Optional[int] = ..., anchor_rank: _Optional[int] = ..., cotangent: _Optional[_Union[Tensor, _Mapping]] = ..., object_rank: _Optional[int] = ..., point: _Optional[_Union[Point, _Mapping]] = ..., polygon: _Optional[_Union[Polygon, _Mapping]] = ..., region_rank: _Optional[int] = ..., score_mask: _Optional[_Union[Tensor, _Mapping]] = ..., references: _Optional[_Union[References, _Mapping]] = ...) -> None: ...

class Polygon(_message.Message):
    __slots__ = ("corners",)
    CORNERS_FIELD_NUMBER: _ClassVar[int]
    corners: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, corners: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class References(_message.Message):
    __slots__ = ("embeddings", "names", "mode")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    embeddings: Tensor
    names: _containers.RepeatedScalarFieldContainer[str]
    mode: ReferenceMode
    def __init__(self, embeddings: _Optional[_Union[Tensor, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ..., mode: _Optional[_Union[ReferenceMode, str]] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class OverlayOptions(_message.Message):
    __slots__ = ("colormap", "image_weight", "jpeg_quality", "png_level", "hot_from", "opacity", "display_bands", "stretch")
    COLORMAP_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    JPEG_QUALITY_FIELD_NUMBER: _ClassVar[int]
    PNG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    HOT_FROM_FIELD_NUMBER: _ClassVar[int]
    OPACITY_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_BANDS_FIELD_NUMBER: _ClassVar[int]
    STRETCH_FIELD_NUMBER: _ClassVar[int]
    colormap: Colormap
    image_weight: float
    jpeg_quality: int
    png_level: int
    hot_from: float
    opacity: Opacity
    display_bands: _containers.RepeatedScalarFieldContainer[str]
    stretch: Stretch
    def __init__(self, colormap: _Optional[_Union[Colormap, str]] = ..., image_weight: _Optional[float] = ..., jpeg_quality: _Optional[int] = ..., png_level: _Optional[int] = ..., hot_from: _Optional[float] = ..., opacity: _Optional[_Union[Opacity, str]] = ..., display_bands: _Optional[_Iterable[str]] = ..., stretch: _Optional[_Union[Stretch, _Mapping]] = ...) -> None: ...

class Stretch(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class ShownBands(_message.Message):
    __slots__ = ("bands", "low", "high", "nodata", "channel_axis")
    BANDS_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    NODATA_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_AXIS_FIELD_NUMBER: _ClassVar[int]
    bands: _containers.RepeatedScalarFieldContainer[int]
    low: _containers.RepeatedScalarFieldContainer[float]
    high: _containers.RepeatedScalarFieldContainer[float]
    nodata: float
    channel_axis: int
    def __init__(self, bands: _Optional[_Iterable[int]] = ..., low: _Optional[_Iterable[float]] = ..., high: _Optional[_Iterable[float]] = ..., nodata: _Optional[float] = ..., channel_axis: _Optional[int] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("model_name", "model_version", "predictions", "explanations", "timings", "request_id", "warnings", "image_width", "image_height", "frame", "embedding", "shown", "shown_frames")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FRAMES_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    model_version: str
    predictions: _containers.RepeatedCompositeFieldContainer[ClassScore]
    explanations: _containers.RepeatedCompositeFieldContainer[Explanation]
    timings: Timings
    request_id: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    image_width: int
    image_height: int
    frame: Frame
    embedding: Tensor
    shown: ShownBands
    shown_frames: _containers.RepeatedCompositeFieldContainer[ShownBands]
    def __init__(self, model_name: _Optional[str] = ..., model_version: _Optional[str] = ..., predictions: _Optional[_Iterable[_Union[ClassScore, _Mapping]]] = ..., explanations: _Optional[_Iterable[_Union[Explanation, _Mapping]]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., image_width: _Optional[int] = ..., image_height: _Optional[int] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., embedding: _Optional[_Union[Tensor, _Mapping]] = ..., shown: _Optional[_Union[ShownBands, _Mapping]] = ..., shown_frames: _Optional[_Iterable[_Union[ShownBands, _Mapping]]] = ...) -> None: ...

class ExplainStreamRequest(_message.Message):
    __slots__ = ("id", "request", "timeout_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: ExplainRequest
    timeout_ms: int
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[ExplainRequest, _Mapping]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class ExplainStreamResponse(_message.Message):
    __slots__ = ("id", "response", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    response: ExplainResponse
    error: ItemError
    def __init__(self, id: _Optional[str] = ..., response: _Optional[_Union[ExplainResponse, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("status", "reason", "message", "retry_after_ms")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    status: str
    reason: str
    message: str
    retry_after_ms: int
    def __init__(self, status: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class ExplainChunkedRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: ExplainRequest
    def __init__(self, request: _Optional[_Union[ExplainRequest, _Mapping]] = ...) -> None: ...

class ExplainChunkedResponse(_message.Message):
    __slots__ = ("head", "output")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    head: ExplainResponse
    output: OutputPiece
    def __init__(self, head: _Optional[_Union[ExplainResponse, _Mapping]] = ..., output: _Optional[_Union[OutputPiece, _Mapping]] = ...) -> None: ...

class OutputPiece(_message.Message):
    __slots__ = ("explanation", "output", "size", "data")
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    explanation: int
    output: int
    size: int
    data: bytes
    def __init__(self, explanation: _Optional[int] = ..., output: _Optional[int] = ..., size: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("vertical", "horizontal")
    VERTICAL_FIELD_NUMBER: _ClassVar[int]
    HORIZONTAL_FIELD_NUMBER: _ClassVar[int]
    vertical: FrameAxis
    horizontal: FrameAxis
    def __init__(self, vertical: _Optional[_Union[FrameAxis, _Mapping]] = ..., horizontal: _Optional[_Union[FrameAxis, _Mapping]] = ...) -> None: ...

class FrameAxis(_message.Message):
    __slots__ = ("photo", "network", "scale", "offset")
    PHOTO_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    photo: int
    network: int
    scale: float
    offset: float
    def __init__(self, photo: _Optional[int] = ..., network: _Optional[int] = ..., scale: _Optional[float] = ..., offset: _Optional[float] = ...) -> None: ...

class ClassScore(_message.Message):
    __slots__ = ("class_index", "label", "score", "probability", "anchor_index", "area", "value", "box", "below_threshold")
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_INDEX_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    BELOW_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    class_index: int
    label: str
    score: float
    probability: float
    anchor_index: int
    area: float
    value: float
    box: Rectangle
    below_threshold: bool
    def __init__(self, class_index: _Optional[int] = ..., label: _Optional[str] = ..., score: _Optional[float] = ..., probability: _Optional[float] = ..., anchor_index: _Optional[int] = ..., area: _Optional[float] = ..., value: _Optional[float] = ..., box: _Optional[_Union[Rectangle, _Mapping]] = ..., below_threshold: bool = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("target", "contrast", "statistics", "outputs", "layers", "method", "negative", "in_input_frame", "marked", "has_own_scale")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    IN_INPUT_FRAME_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    HAS_OWN_SCALE_FIELD_NUMBER: _ClassVar[int]
    target: ClassScore
    contrast: ClassScore
    statistics: MapStatistics
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    layers: _containers.RepeatedScalarFieldContainer[str]
    method: str
    negative: bool
    in_input_frame: bool
    marked: MarkedCells
    has_own_scale: bool
    def __init__(self, target: _Optional[_Union[ClassScore, _Mapping]] = ..., contrast: _Optional[_Union[ClassScore, _Mapping]] = ..., statistics: _Optional[_Union[MapStatistics, _Mapping]] = ..., outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., layers: _Optional[_Iterable[str]] = ..., method: _Optional[str] = ..., negative: bool = ..., in_input_frame: bool = ..., marked: _Optional[_Union[MarkedCells, _Mapping]] = ..., has_own_scale: bool = ...) -> None: ...

class MarkedCells(_message.Message):
    __slots__ = ("rows", "columns", "bits", "frame")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    rows: int
    columns: int
    bits: bytes
    frame: Frame
    def __init__(self, rows: _Optional[int] = ..., columns: _Optional[int] = ..., bits: _Optional[bytes] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class MapStatistics(_message.Message):
    __slots__ = ("minimum", "maximum", "mean", "positive_share", "all_nonpositive", "constant", "nonfinite", "no_gradient")
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_SHARE_FIELD_NUMBER: _ClassVar[int]
    ALL_NONPOSITIVE_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    NONFINITE_FIELD_NUMBER: _ClassVar[int]
    NO_GRADIENT_FIELD_NUMBER: _ClassVar[int]
    minimum: float
    maximum: float
    mean: float
    positive_share: float
    all_nonpositive: bool
    constant: bool
    nonfinite: bool
    no_gradient: bool
    def __init__(self, minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., mean: _Optional[float] = ..., positive_share: _Optional[float] = ..., all_nonpositive: bool = ..., constant: bool = ..., nonfinite: bool = ..., no_gradient: bool = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("kind", "tensor", "encoded", "regions", "layer", "frame")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    kind: OutputKind
    tensor: Tensor
    encoded: bytes
    regions: HotRegions
    layer: str
    frame: int
    def __init__(self, kind: _Optional[_Union[OutputKind, str]] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., encoded: _Optional[bytes] = ..., regions: _Optional[_Union[HotRegions, _Mapping]] = ..., layer: _Optional[str] = ..., frame: _Optional[int] = ...) -> None: ...

class HotRegions(_message.Message):
    __slots__ = ("regions",)
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedCompositeFieldContainer[HotRegion]
    def __init__(self, regions: _Optional[_Iterable[_Union[HotRegion, _Mapping]]] = ...) -> None: ...

class HotRegion(_message.Message):
    __slots__ = ("box", "area", "mean", "peak", "energy")
    BOX_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    PEAK_FIELD_NUMBER: _ClassVar[int]
    ENERGY_FIELD_NUMBER: _ClassVar[int]
    box: Rectangle
    area: float
    mean: float
    peak: float
    energy: float
    def __init__(self, box: _Optional[_Union[Rectangle, _Mapping]] = ..., area: _Optional[float] = ..., mean: _Optional[float] = ..., peak: _Optional[float] = ..., energy: _Optional[float] = ...) -> None: ...

class Rectangle(_message.Message):
    __slots__ = ("left", "top", "right", "bottom")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_FIELD_NUMBER: _ClassVar[int]
    left: float
    top: float
    right: float
    bottom: float
    def __init__(self, left: _Optional[float] = ..., top: _Optional[float] = ..., right: _Optional[float] = ..., bottom: _Optional[float] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue_ms", "decode_ms", "preprocess_ms", "inference_ms", "postprocess_ms", "render_ms", "total_ms")
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    DECODE_MS_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_MS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESS_MS_FIELD_NUMBER: _ClassVar[int]
    RENDER_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    queue_ms: float
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    render_ms: float
    total_ms: float
    def __init__(self, queue_ms: _Optional[float] = ..., decode_ms: _Optional[float] = ..., preprocess_ms: _Optional[float] = ..., inference_ms: _Optional[float] = ..., postprocess_ms: _Optional[float] = ..., render_ms: _Optional[float] = ..., total_ms: _Optional[float] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("name", "version", "state", "reason", "num_classes", "layers", "execution_provider", "has_bank")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    HAS_BANK_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    state: ModelState
    reason: str
    num_classes: int
    layers: _containers.RepeatedScalarFieldContainer[str]
    execution_provider: str
    has_bank: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., reason: _Optional[str] = ..., num_classes: _Optional[int] = ..., layers: _Optional[_Iterable[str]] = ..., execution_provider: _Optional[str] = ..., has_bank: bool = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model", "manifest")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    model: ModelInfo
    manifest: _manifest_pb2.Manifest
    def __init__(self, model: _Optional[_Union[ModelInfo, _Mapping]] = ..., manifest: _Optional[_Union[_manifest_pb2.Manifest, _Mapping]] = ...) -> None: ...
