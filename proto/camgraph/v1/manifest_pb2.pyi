from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Int8Kernels(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INT8_KERNELS_UNSPECIFIED: _ClassVar[Int8Kernels]
    INT8_KERNELS_EXACT: _ClassVar[Int8Kernels]
    INT8_KERNELS_SATURATING: _ClassVar[Int8Kernels]

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_CLASSIFICATION: _ClassVar[Task]
    TASK_SEGMENTATION: _ClassVar[Task]
    TASK_DETECTION: _ClassVar[Task]
    TASK_EMBEDDING: _ClassVar[Task]
    TASK_REGRESSION: _ClassVar[Task]
    TASK_DENSE_REGRESSION: _ClassVar[Task]

class GradientRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GRADIENT_RULE_UNSPECIFIED: _ClassVar[GradientRule]
    GRADIENT_RULE_EXACT: _ClassVar[GradientRule]
    GRADIENT_RULE_STRAIGHT_THROUGH: _ClassVar[GradientRule]

class Layout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAYOUT_UNSPECIFIED: _ClassVar[Layout]
    LAYOUT_NCHW: _ClassVar[Layout]
    LAYOUT_NHWC: _ClassVar[Layout]
    LAYOUT_NHW: _ClassVar[Layout]
    LAYOUT_NCTHW: _ClassVar[Layout]
    LAYOUT_NTCHW: _ClassVar[Layout]
    LAYOUT_NTHWC: _ClassVar[Layout]

class ChannelOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_ORDER_UNSPECIFIED: _ClassVar[ChannelOrder]
    CHANNEL_ORDER_RGB: _ClassVar[ChannelOrder]
    CHANNEL_ORDER_BGR: _ClassVar[ChannelOrder]
    CHANNEL_ORDER_GRAY: _ClassVar[ChannelOrder]
    CHANNEL_ORDER_STORED: _ClassVar[ChannelOrder]

class Filter(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILTER_UNSPECIFIED: _ClassVar[Filter]
    FILTER_NEAREST: _ClassVar[Filter]
    FILTER_BILINEAR: _ClassVar[Filter]
    FILTER_BICUBIC: _ClassVar[Filter]
    FILTER_LANCZOS: _ClassVar[Filter]
    FILTER_BOX: _ClassVar[Filter]

class HeadKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEAD_KIND_UNSPECIFIED: _ClassVar[HeadKind]
    HEAD_KIND_NONE: _ClassVar[HeadKind]
    HEAD_KIND_SOFTMAX: _ClassVar[HeadKind]
    HEAD_KIND_LOG_SOFTMAX: _ClassVar[HeadKind]
    HEAD_KIND_SIGMOID: _ClassVar[HeadKind]
    HEAD_KIND_PROBABILITY: _ClassVar[HeadKind]

class LayerFrames(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAYER_FRAMES_UNSPECIFIED: _ClassVar[LayerFrames]
    LAYER_FRAMES_BEFORE_ROWS: _ClassVar[LayerFrames]
    LAYER_FRAMES_BEFORE_CHANNELS: _ClassVar[LayerFrames]
    LAYER_FRAMES_IN_BATCH: _ClassVar[LayerFrames]

class LayerLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAYER_LAYOUT_UNSPECIFIED: _ClassVar[LayerLayout]
    LAYER_LAYOUT_CHANNELS_FIRST: _ClassVar[LayerLayout]
    LAYER_LAYOUT_CHANNELS_LAST: _ClassVar[LayerLayout]
    LAYER_LAYOUT_TOKENS: _ClassVar[LayerLayout]
INT8_KERNELS_UNSPECIFIED: Int8Kernels
INT8_KERNELS_EXACT: Int8Kernels
INT8_KERNELS_SATURATING: Int8Kernels
TASK_UNSPECIFIED: Task
TASK_CLASSIFICATION: Task
TASK_SEGMENTATION: Task
TASK_DETECTION: Task
TASK_EMBEDDING: Task
TASK_REGRESSION: Task
TASK_DENSE_REGRESSION: Task
GRADIENT_RULE_UNSPECIFIED: GradientRule
GRADIENT_RULE_EXACT: GradientRule
GRADIENT_RULE_STRAIGHT_THROUGH: GradientRule
LAYOUT_UNSPECIFIED: Layout
LAYOUT_NCHW: Layout
LAYOUT_NHWC: Layout
LAYOUT_NHW: Layout
LAYOUT_NCTHW: Layout
LAYOUT_NTCHW: Layout
LAYOUT_NTHWC: Layout
CHANNEL_ORDER_UNSPECIFIED: ChannelOrder
CHANNEL_ORDER_RGB: ChannelOrder
CHANNEL_ORDER_BGR: ChannelOrder
CHANNEL_ORDER_GRAY: ChannelOrder
CHANNEL_ORDER_STORED: ChannelOrder
FILTER_UNSPECIFIED: Filter
FILTER_NEAREST: Filter
FILTER_BILINEAR: Filter
FILTER_BICUBIC: Filter
FILTER_LANCZOS: Filter
FILTER_BOX: Filter
HEAD_KIND_UNSPECIFIED: HeadKind
HEAD_KIND_NONE: HeadKind
HEAD_KIND_SOFTMAX: HeadKind
HEAD_KIND_LOG_SOFTMAX: HeadKind
HEAD_KIND_SIGMOID: HeadKind
HEAD_KIND_PROBABILITY: HeadKind
LAYER_FRAMES_UNSPECIFIED: LayerFrames
LAYER_FRAMES_BEFORE_ROWS: LayerFrames
LAYER_FRAMES_BEFORE_CHANNELS: LayerFrames
LAYER_FRAMES_IN_BATCH: LayerFrames
LAYER_LAYOUT_UNSPECIFIED: LayerLayout
LAYER_LAYOUT_CHANNELS_FIRST: LayerLayout
LAYER_LAYOUT_CHANNELS_LAST: LayerLayout
LAYER_LAYOUT_TOKENS: LayerLayout

class Manifest(_message.Message):
    __slots__ = ("format_version", "source", "tool_versions", "input", "head", "class_labels", "layers", "target", "source_outputs", "task", "certificate", "gradient_rule", "notes", "default_method", "explain_switch", "image_gradient_tensor", "portable", "batch_size", "int8_kernels", "branches", "digest", "boxes")
    class ToolVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TOOL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    CLASS_LABELS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SOURCE_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_RULE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_METHOD_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_SWITCH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_GRADIENT_TENSOR_FIELD_NUMBER: _ClassVar[int]
    PORTABLE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    INT8_KERNELS_FIELD_NUMBER: _ClassVar[int]
    BRANCHES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    format_version: int
    source: Source
    tool_versions: _containers.ScalarMap[str, str]
    input: InputSpec
    head: Head
    class_labels: _containers.RepeatedScalarFieldContainer[str]
    layers: _containers.RepeatedCompositeFieldContainer[Layer]
    target: TargetTensors
    source_outputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    task: Task
    certificate: Certificate
    gradient_rule: GradientRule
    notes: _containers.RepeatedScalarFieldContainer[str]
    default_method: str
    explain_switch: str
    image_gradient_tensor: str
    portable: bool
    batch_size: int
    int8_kernels: Int8Kernels
    branches: int
    digest: Digest
    boxes: Boxes
    def __init__(self, format_version: _Optional[int] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., tool_versions: _Optional[_Mapping[str, str]] = ..., input: _Optional[_Union[InputSpec, _Mapping]] = ..., head: _Optional[_Union[Head, _Mapping]] = ..., class_labels: _Optional[_Iterable[str]] = ..., layers: _Optional[_Iterable[_Union[Layer, _Mapping]]] = ..., target: _Optional[_Union[TargetTensors, _Mapping]] = ..., source_outputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., task: _Optional[_Union[Task, str]] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., gradient_rule: _Optional[_Union[GradientRule, str]] = ..., notes: _Optional[_Iterable[str]] = ..., default_method: _Optional[str] = ..., explain_switch: _Optional[str] = ..., image_gradient_tensor: _Optional[str] = ..., portable: bool = ..., batch_size: _Optional[int] = ..., int8_kernels: _Optional[_Union[Int8Kernels, str]] = ..., branches: _Optional[int] = ..., digest: _Optional[_Union[Digest, _Mapping]] = ..., boxes: _Optional[_Union[Boxes, _Mapping]] = ...) -> None: ...

class Boxes(_message.Message):
    __slots__ = ("output", "scores_output", "source_tensor", "source_format", "source_is_normalised")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SCORES_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TENSOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_IS_NORMALISED_FIELD_NUMBER: _ClassVar[int]
    output: str
    scores_output: str
    source_tensor: str
    source_format: str
    source_is_normalised: bool
    def __init__(self, output: _Optional[str] = ..., scores_output: _Optional[str] = ..., source_tensor: _Optional[str] = ..., source_format: _Optional[str] = ..., source_is_normalised: bool = ...) -> None: ...

class Digest(_message.Message):
    __slots__ = ("graph_sha256", "data_files")
    GRAPH_SHA256_FIELD_NUMBER: _ClassVar[int]
    DATA_FILES_FIELD_NUMBER: _ClassVar[int]
    graph_sha256: str
    data_files: _containers.RepeatedCompositeFieldContainer[DataFile]
    def __init__(self, graph_sha256: _Optional[str] = ..., data_files: _Optional[_Iterable[_Union[DataFile, _Mapping]]] = ...) -> None: ...

class DataFile(_message.Message):
    __slots__ = ("name", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    sha256: str
    def __init__(self, name: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("file_name", "sha256", "producer", "opset_version")
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    OPSET_VERSION_FIELD_NUMBER: _ClassVar[int]
    file_name: str
    sha256: str
    producer: str
    opset_version: int
    def __init__(self, file_name: _Optional[str] = ..., sha256: _Optional[str] = ..., producer: _Optional[str] = ..., opset_version: _Optional[int] = ...) -> None: ...

class TensorSpec(_message.Message):
    __slots__ = ("name", "dtype", "shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[str]] = ...) -> None: ...

class InputSpec(_message.Message):
    __slots__ = ("tensor", "layout", "channel_order", "divisor", "mean", "std", "steps", "stated", "told_by_graph", "band_names", "value_low", "value_high", "clip")
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_ORDER_FIELD_NUMBER: _ClassVar[int]
    DIVISOR_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STATED_FIELD_NUMBER: _ClassVar[int]
    TOLD_BY_GRAPH_FIELD_NUMBER: _ClassVar[int]
    BAND_NAMES_FIELD_NUMBER: _ClassVar[int]
    VALUE_LOW_FIELD_NUMBER: _ClassVar[int]
    VALUE_HIGH_FIELD_NUMBER: _ClassVar[int]
    CLIP_FIELD_NUMBER: _ClassVar[int]
    tensor: TensorSpec
    layout: Layout
    channel_order: ChannelOrder
    divisor: float
    mean: _containers.RepeatedScalarFieldContainer[float]
    std: _containers.RepeatedScalarFieldContainer[float]
    steps: _containers.RepeatedCompositeFieldContainer[GeometryStep]
    stated: bool
    told_by_graph: bool
    band_names: _containers.RepeatedScalarFieldContainer[str]
    value_low: _containers.RepeatedScalarFieldContainer[float]
    value_high: _containers.RepeatedScalarFieldContainer[float]
    clip: Clip
    def __init__(self, tensor: _Optional[_Union[TensorSpec, _Mapping]] = ..., layout: _Optional[_Union[Layout, str]] = ..., channel_order: _Optional[_Union[ChannelOrder, str]] = ..., divisor: _Optional[float] = ..., mean: _Optional[_Iterable[float]] = ..., std: _Optional[_Iterable[float]] = ..., steps: _Optional[_Iterable[_Union[GeometryStep, _Mapping]]] = ..., stated: bool = ..., told_by_graph: bool = ..., band_names: _Optional[_Iterable[str]] = ..., value_low: _Optional[_Iterable[float]] = ..., value_high: _Optional[_Iterable[float]] = ..., clip: _Optional[_Union[Clip, _Mapping]] = ...) -> None: ...

class Clip(_message.Message):
    __slots__ = ("frames", "step", "is_volume")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    IS_VOLUME_FIELD_NUMBER: _ClassVar[int]
    frames: int
    step: int
    is_volume: bool
    def __init__(self, frames: _Optional[int] = ..., step: _Optional[int] = ..., is_volume: bool = ...) -> None: ...

class GeometryStep(_message.Message):
    __slots__ = ("resize_shorter_side", "resize_to", "center_crop", "center_square", "letterbox")
    RESIZE_SHORTER_SIDE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_TO_FIELD_NUMBER: _ClassVar[int]
    CENTER_CROP_FIELD_NUMBER: _ClassVar[int]
    CENTER_SQUARE_FIELD_NUMBER: _ClassVar[int]
    LETTERBOX_FIELD_NUMBER: _ClassVar[int]
    resize_shorter_side: ResizeShorterSide
    resize_to: ResizeTo
    center_crop: CenterCrop
    center_square: CenterSquare
    letterbox: Letterbox
    def __init__(self, resize_shorter_side: _Optional[_Union[ResizeShorterSide, _Mapping]] = ..., resize_to: _Optional[_Union[ResizeTo, _Mapping]] = ..., center_crop: _Optional[_Union[CenterCrop, _Mapping]] = ..., center_square: _Optional[_Union[CenterSquare, _Mapping]] = ..., letterbox: _Optional[_Union[Letterbox, _Mapping]] = ...) -> None: ...

class ResizeShorterSide(_message.Message):
    __slots__ = ("size", "filter")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    size: int
    filter: Filter
    def __init__(self, size: _Optional[int] = ..., filter: _Optional[_Union[Filter, str]] = ...) -> None: ...

class ResizeTo(_message.Message):
    __slots__ = ("height", "width", "filter")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    filter: Filter
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., filter: _Optional[_Union[Filter, str]] = ...) -> None: ...

class CenterCrop(_message.Message):
    __slots__ = ("height", "width")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class CenterSquare(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Letterbox(_message.Message):
    __slots__ = ("height", "width", "filter", "fill")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    filter: Filter
    fill: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., filter: _Optional[_Union[Filter, str]] = ..., fill: _Optional[int] = ...) -> None: ...

class Head(_message.Message):
    __slots__ = ("score_tensor", "kind", "num_classes", "single_logit", "output_name", "num_anchors", "embedding_size", "class_slice", "output_scale", "output_is_logarithm", "output_is_ranked", "background_class", "output_quantization")
    SCORE_TENSOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    SINGLE_LOGIT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAME_FIELD_NUMBER: _ClassVar[int]
    NUM_ANCHORS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SIZE_FIELD_NUMBER: _ClassVar[int]
    CLASS_SLICE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCALE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IS_LOGARITHM_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IS_RANKED_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_CLASS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    score_tensor: str
    kind: HeadKind
    num_classes: int
    single_logit: bool
    output_name: str
    num_anchors: int
    embedding_size: int
    class_slice: ClassSlice
    output_scale: float
    output_is_logarithm: bool
    output_is_ranked: bool
    background_class: int
    output_quantization: OutputQuantization
    def __init__(self, score_tensor: _Optional[str] = ..., kind: _Optional[_Union[HeadKind, str]] = ..., num_classes: _Optional[int] = ..., single_logit: bool = ..., output_name: _Optional[str] = ..., num_anchors: _Optional[int] = ..., embedding_size: _Optional[int] = ..., class_slice: _Optional[_Union[ClassSlice, _Mapping]] = ..., output_scale: _Optional[float] = ..., output_is_logarithm: bool = ..., output_is_ranked: bool = ..., background_class: _Optional[int] = ..., output_quantization: _Optional[_Union[OutputQuantization, _Mapping]] = ...) -> None: ...

class OutputQuantization(_message.Message):
    __slots__ = ("scale", "zero_point")
    SCALE_FIELD_NUMBER: _ClassVar[int]
    ZERO_POINT_FIELD_NUMBER: _ClassVar[int]
    scale: float
    zero_point: int
    def __init__(self, scale: _Optional[float] = ..., zero_point: _Optional[int] = ...) -> None: ...

class ClassSlice(_message.Message):
    __slots__ = ("axis", "start")
    AXIS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    axis: int
    start: int
    def __init__(self, axis: _Optional[int] = ..., start: _Optional[int] = ...) -> None: ...

class Layer(_message.Message):
    __slots__ = ("name", "channels", "height", "width", "stride_height", "stride_width", "activations_tensor", "weights_tensor", "gradients_tensor", "layout", "prefix_tokens", "alias", "placement", "frames", "stride_frames", "frame_axis")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    STRIDE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    STRIDE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_TENSOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_TENSOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENTS_TENSOR_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    PREFIX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAME_AXIS_FIELD_NUMBER: _ClassVar[int]
    name: str
    channels: int
    height: int
    width: int
    stride_height: float
    stride_width: float
    activations_tensor: str
    weights_tensor: str
    gradients_tensor: str
    layout: LayerLayout
    prefix_tokens: int
    alias: str
    placement: Placement
    frames: int
    stride_frames: float
    frame_axis: LayerFrames
    def __init__(self, name: _Optional[str] = ..., channels: _Optional[int] = ..., height: _Optional[int] = ..., width: _Optional[int] = ..., stride_height: _Optional[float] = ..., stride_width: _Optional[float] = ..., activations_tensor: _Optional[str] = ..., weights_tensor: _Optional[str] = ..., gradients_tensor: _Optional[str] = ..., layout: _Optional[_Union[LayerLayout, str]] = ..., prefix_tokens: _Optional[int] = ..., alias: _Optional[str] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., frames: _Optional[int] = ..., stride_frames: _Optional[float] = ..., frame_axis: _Optional[_Union[LayerFrames, str]] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("rows", "columns", "transposed", "frames")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TRANSPOSED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    rows: AxisPlacement
    columns: AxisPlacement
    transposed: bool
    frames: AxisPlacement
    def __init__(self, rows: _Optional[_Union[AxisPlacement, _Mapping]] = ..., columns: _Optional[_Union[AxisPlacement, _Mapping]] = ..., transposed: bool = ..., frames: _Optional[_Union[AxisPlacement, _Mapping]] = ...) -> None: ...

class AxisPlacement(_message.Message):
    __slots__ = ("start", "stride", "start_share", "stride_share")
    START_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    START_SHARE_FIELD_NUMBER: _ClassVar[int]
    STRIDE_SHARE_FIELD_NUMBER: _ClassVar[int]
    start: float
    stride: float
    start_share: float
    stride_share: float
    def __init__(self, start: _Optional[float] = ..., stride: _Optional[float] = ..., start_share: _Optional[float] = ..., stride_share: _Optional[float] = ...) -> None: ...

class TargetTensors(_message.Message):
    __slots__ = ("target_input", "target_index_output", "target_score_output", "mask_input", "anchor_input", "cotangent_input", "anchor_index_output", "mask_placement", "mask_size", "mask_off_image", "embedding_output")
    TARGET_INPUT_FIELD_NUMBER: _ClassVar[int]
    TARGET_INDEX_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TARGET_SCORE_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MASK_INPUT_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_INPUT_FIELD_NUMBER: _ClassVar[int]
    COTANGENT_INPUT_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_INDEX_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MASK_PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    MASK_SIZE_FIELD_NUMBER: _ClassVar[int]
    MASK_OFF_IMAGE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    target_input: str
    target_index_output: str
    target_score_output: str
    mask_input: str
    anchor_input: str
    cotangent_input: str
    anchor_index_output: str
    mask_placement: Placement
    mask_size: MapSize
    mask_off_image: bool
    embedding_output: str
    def __init__(self, target_input: _Optional[str] = ..., target_index_output: _Optional[str] = ..., target_score_output: _Optional[str] = ..., mask_input: _Optional[str] = ..., anchor_input: _Optional[str] = ..., cotangent_input: _Optional[str] = ..., anchor_index_output: _Optional[str] = ..., mask_placement: _Optional[_Union[Placement, _Mapping]] = ..., mask_size: _Optional[_Union[MapSize, _Mapping]] = ..., mask_off_image: bool = ..., embedding_output: _Optional[str] = ...) -> None: ...

class MapSize(_message.Message):
    __slots__ = ("rows", "columns")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    rows: CellCount
    columns: CellCount
    def __init__(self, rows: _Optional[_Union[CellCount, _Mapping]] = ..., columns: _Optional[_Union[CellCount, _Mapping]] = ...) -> None: ...

class CellCount(_message.Message):
    __slots__ = ("up", "offset", "down", "margin")
    UP_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DOWN_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    up: int
    offset: int
    down: int
    margin: int
    def __init__(self, up: _Optional[int] = ..., offset: _Optional[int] = ..., down: _Optional[int] = ..., margin: _Optional[int] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("passed", "checks", "seed")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    passed: bool
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    seed: int
    def __init__(self, passed: bool = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., seed: _Optional[int] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("name", "description", "error", "tolerance", "passed", "location", "remark", "is_statement")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    IS_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    error: float
    tolerance: float
    passed: bool
    location: str
    remark: str
    is_statement: bool
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., error: _Optional[float] = ..., tolerance: _Optional[float] = ..., passed: bool = ..., location: _Optional[str] = ..., remark: _Optional[str] = ..., is_statement: bool = ...) -> None: ...
