"""`camgraph triton-repository`: what it writes, held to Triton's own schema, and what it refuses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from onnx.external_data_helper import convert_model_to_external_data
from tritonclient.grpc import model_config_pb2

from camgraph_core.errors import CamgraphError, UsageError
from camgraph_runtime import Explainer, MemoryBank, build_bank
from camgraph_triton.options import TritonOptions
from camgraph_triton.parameters import RequestLimits
from camgraph_triton.repository import write_repository
from camgraph_triton.signature import Signature
from support.serving import png, run_camgraph, write_model
from support.tiny_graph import TinyGraph

PAGE = Path(__file__).resolve().parents[2] / "docs" / "triton.md"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_model(folder)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "triton"


def config_of(folder: Path) -> model_config_pb2.ModelConfig:
    """A configuration as Triton reads it: a name or value that it does not know is an error."""
    return text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_graph_becomes_two_models(models, output):
    [written] = write_repository([models], output)
    assert (written.name, written.versions, written.notes) == ("tiny", (1,), ())
    assert files_of(output) == {
        "tiny/config.pbtxt",
        "tiny/1/model.py",
        "tiny/1/signature.json",
        "tiny.tensors/config.pbtxt",
        "tiny.tensors/labels.txt",
        "tiny.tensors/1/model.onnx",
    }
    graph = models / "tiny/1/model.onnx"
    assert (output / "tiny.tensors/1/model.onnx").read_bytes() == graph.read_bytes()
    assert (output / "tiny.tensors/labels.txt").read_text().split() == ["cat", "dog", "bird", "fish", "horse"]
    with Explainer(graph) as explainer:
        read = Signature.from_json((output / "tiny/1/signature.json").read_bytes())
        assert read == Signature.of(explainer.engine)


def test_the_configuration_of_the_graph_is_made_of_what_it_takes_and_gives(models, output):
    write_repository([models], output, TritonOptions(graph_threads=3, graph_instances=2, device="gpu"))
    config = config_of(output / "tiny.tensors")
    assert (config.name, config.backend, config.platform) == ("tiny.tensors", "onnxruntime", "onnxruntime_onnx")
    assert {item.name: (item.data_type, list(item.dims)) for item in config.input} == {
        "image": (model_config_pb2.TYPE_FP32, [-1, 3, 16, 16]),
        "target": (model_config_pb2.TYPE_INT64, [-1, -1]),
    }
    outputs = {item.name: item for item in config.output}
    assert list(outputs["weights"].dims) == [-1, -1, 4]
    assert {name for name, item in outputs.items() if item.label_filename} == {"scores"}
    assert config.parameters["intra_op_thread_count"].string_value == "3"
    [group] = config.instance_group
    assert (group.count, group.kind) == (2, model_config_pb2.ModelInstanceGroup.KIND_GPU)
    assert (config.max_batch_size, config.HasField("dynamic_batching")) == (0, False)
    assert config.version_policy.HasField("all")


def test_a_memory_bank_goes_with_its_graph(models, output):
    graph = models / "tiny/1/model.onnx"
    with Explainer(graph) as explainer:
        bank = build_bank(explainer, [png(seed=seed) for seed in range(3)], patches=9)
    bank.save(graph.with_name("bank.npz"))
    write_repository([models], output)
    assert MemoryBank.load(output / "tiny/1/bank.npz").header == bank.header
    assert not (output / "tiny.tensors/1/bank.npz").exists()


def test_the_configuration_of_the_explanations_has_their_inputs_and_limits(models, output):
    limits = RequestLimits(max_targets=7, max_megapixels=2.5)
    write_repository([models], output, TritonOptions(instances=4, environment="/opt/camgraph", limits=limits))
    config = config_of(output / "tiny")
    assert (config.backend, config.instance_group[0].count) == ("python", 4)
    assert [(item.name, item.optional) for item in config.input] == [
        ("image", False),
        ("target_index", True),
        ("target_label", True),
        ("target_rank", True),
        ("target", True),
        ("mask", True),
        ("reference", True),
    ]
    texts = {name: entry.string_value for name, entry in config.parameters.items()}
    assert texts["EXECUTION_ENV_PATH"] == "/opt/camgraph"
    assert RequestLimits.from_parameters(texts) == limits


def test_triton_makes_batches_where_the_graph_allows_it(models, output):
    write_model(models, "fixed", graph=TinyGraph(batch=1))
    write_model(models, "switched", graph=TinyGraph(explain_switch=True))
    written = write_repository([models], output, TritonOptions(max_batch_size=8, max_queue_delay=0.002))
    notes = {item.name: item.notes for item in written}
    assert notes["tiny"] == ()
    config = config_of(output / "tiny.tensors")
    assert (config.max_batch_size, config.dynamic_batching.max_queue_delay_microseconds) == (8, 2000)
    assert {item.name: list(item.dims) for item in config.input} == {"image": [3, 16, 16], "target": [-1]}
    for name in ("fixed", "switched"):
        assert "makes no batches" in notes[name][0]
        assert config_of(output / f"{name}.tensors").max_batch_size == 0
    # Triton has no tensors without axes.
    assert {item.name: list(item.dims) for item in config_of(output / "switched.tensors").input}["explain"] == [1]
    assert "needs the input 'explain'" in notes["switched"][1]


def test_where_triton_has_no_onnxruntime_backend_its_python_runs_the_graph(models, output):
    write_model(models, "switched", graph=TinyGraph(explain_switch=True))
    options = TritonOptions(graph_backend="python", device="gpu", graph_threads=2)
    assert [item.notes for item in write_repository([models], output, options)] == [(), ()]
    config = config_of(output / "tiny.tensors")
    assert (config.backend, config.parameters["device"].string_value) == ("python", "cuda")
    assert config.parameters["threads"].string_value == "2"
    assert config_of(output / "tiny").parameters["device"].string_value == "cuda"
    graphs = [(output / model / "1/model.onnx").read_bytes() for model in ("tiny", "tiny.tensors")]
    assert graphs == [(models / "tiny/1/model.onnx").read_bytes()] * 2
    assert "tiny/1/signature.json" not in files_of(output)
    assert "camgraph_triton.serving.tensors" in (output / "tiny.tensors/1/model.py").read_text()
    assert {item.name: item.optional for item in config_of(output / "switched.tensors").input}["explain"]
    with pytest.raises(UsageError, match="runs no batches"):
        TritonOptions(graph_backend="python", max_batch_size=4)


def test_versions_share_one_configuration(models, output):
    write_model(models, version=3, graph=TinyGraph(seed=8))
    [written] = write_repository([models], output)
    assert written.versions == (1, 3)
    assert {"tiny/1/model.py", "tiny/3/model.py", "tiny.tensors/3/model.onnx"} <= files_of(output)
    write_model(models, version=4, graph=TinyGraph(labels=("a", "b")))
    with pytest.raises(CamgraphError, match="one configuration for all versions"):
        write_repository([models], output, replace=True)


def test_an_ensemble_has_a_step_for_reading_one_for_the_graph_and_one_per_picture(models, output):
    write_model(models, version=2, graph=TinyGraph(seed=8))
    write_repository([models], output, TritonOptions(ensemble=True, max_batch_size=4))
    config = config_of(output / "tiny.ensemble")
    assert (config.platform, config.backend, config.max_batch_size) == ("ensemble", "", 0)
    assert [item.name for item in config.input if not item.optional] == ["image"]
    steps = config.ensemble_scheduling.step
    assert [step.model_name for step in steps] == ["tiny.prepare", "tiny.tensors", *["tiny.draw"] * 4]
    made = {name for step in steps for name in step.output_map.values()}
    assert {item.name for item in config.output} <= made
    assert {name for step in steps for name in step.input_map.values()} <= made | {item.name for item in config.input}
    for step in steps:
        of_step = config_of(output / step.model_name)
        assert set(step.input_map) == {item.name for item in of_step.input}
        assert set(step.output_map) <= {item.name for item in of_step.output}
    written = {file for file in files_of(output) if not file.startswith(("tiny/", "tiny.tensors/"))}
    assert {file.split("/")[1] for file in written} == {"config.pbtxt", "2"}  # of the newest version
    assert Signature.from_json((output / "tiny.draw/2/signature.json").read_bytes()).outputs


def test_an_ensemble_of_an_old_graph_does_not_stay(models, output):
    write_repository([models], output, TritonOptions(ensemble=True))
    write_repository([models], output, replace=True)
    assert {path.name for path in output.iterdir()} == {"tiny", "tiny.tensors"}


def test_two_models_of_one_name_are_refused(models, output):
    write_model(models, "tiny.draw")
    with pytest.raises(CamgraphError, match=r"Two models would be tiny\.draw; rename one"):
        write_repository([models], output, TritonOptions(ensemble=True))
    write_repository([models], output)


def test_weights_beside_a_graph_are_copied_with_it(models, output):
    path = models / "large" / "model.onnx"
    path.parent.mkdir()
    model = TinyGraph().model()
    convert_model_to_external_data(model, location="weights.bin", size_threshold=400)
    onnx.save(model, path)
    write_repository([path], output)
    assert (output / "large.tensors/1/weights.bin").read_bytes() == path.with_name("weights.bin").read_bytes()
    Explainer(output / "large.tensors/1/model.onnx").close()


@pytest.mark.parametrize("location", ["../outside.bin", "/tmp/outside.bin", "inner/../../outside.bin"])
def test_weights_elsewhere_are_not_copied(location, models, output):
    """A file of metadata alone names them, so that onnxruntime does not look for them."""
    path = models / "tiny" / "1" / "model.onnx"
    model = onnx.load(path)
    unused = model.graph.initializer.add(name="unused", data_type=onnx.TensorProto.FLOAT, dims=[1])
    unused.data_location = onnx.TensorProto.EXTERNAL
    unused.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CamgraphError, match="not in its folder"):
        write_repository([models], output)
    assert not output.exists()


def test_the_commands_of_the_page_run_as_written(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    commands = [line for block in blocks for line in block.splitlines() if line.startswith("camgraph ")]
    assert len(commands) == 3
    for command in commands:
        done = run_camgraph(*command.split()[1:])
        assert done.returncode == 0, done.stderr
        shutil.rmtree(tmp_path / "triton-models")


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_written(models, output, tmp_path):
    (models / "text.onnx").write_text("not a graph")
    plain = TinyGraph().model()
    del plain.metadata_props[:]
    onnx.save(plain, models / "plain.onnx")
    (models / "odd.tensors.onnx").write_bytes(b"")
    write_model(models, "tiny", 1)
    (tmp_path / "empty").mkdir()
    second = tmp_path / "tiny.onnx"
    second.write_bytes(TinyGraph().serialize())
    (output / "tiny").mkdir(parents=True)
    with pytest.raises(CamgraphError) as caught:
        write_repository([models, tmp_path / "empty", second, tmp_path / "missing.onnx"], output)
    said = str(caught.value)
    for words in (
        "7 things are wrong",
        "empty has no .onnx files",
        "are both tiny version 1",
        "does not end in .tensors",
        "missing.onnx does not exist",
        "is not an explainable graph",
        "text.onnx cannot be loaded",
        "tiny is there and was not written by camgraph",
    ):
        assert words in said
    assert files_of(output) == set()


def test_what_camgraph_wrote_is_replaced_when_asked_and_nothing_else(models, output):
    other = output / "other" / "config.pbtxt"
    other.parent.mkdir(parents=True)
    other.write_text('name: "other"')
    write_repository([models], output)
    write_model(models, graph=TinyGraph(seed=8))
    with pytest.raises(CamgraphError, match="--replace writes it anew"):
        write_repository([models], output, replace=False)
    write_repository([models], output, replace=True)
    assert (output / "tiny.tensors/1/model.onnx").read_bytes() == (models / "tiny/1/model.onnx").read_bytes()
    assert other.read_text() == 'name: "other"'
    (output / "tiny" / "config.pbtxt").write_text('name: "tiny"')
    with pytest.raises(CamgraphError, match="was not written by camgraph"):
        write_repository([models], output, replace=True)
    assert not list(output.parent.glob(".camgraph-*"))


def test_progress_goes_to_the_end(models, output):
    write_model(models, "more")
    told: list[tuple[str, int, int]] = []
    write_repository([models], output, progress=lambda *state: told.append(state))
    assert [(done, total) for _, done, total in told] == [(number, 4) for number in range(5)]
    assert told[0][0] == "Reading model.onnx"
    assert told[-2][0] == "Writing tiny"


def test_the_command_says_what_it_wrote_and_how_to_serve_it(models, output):
    write_model(models, "switched", graph=TinyGraph(explain_switch=True))
    done = run_camgraph("triton-repository", str(models), "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert f"{output / 'tiny'} and {output / 'tiny.tensors'}: version 1" in done.stdout
    assert f"tritonserver --model-repository {output}" in done.stdout
    assert (
        done.stderr.strip()
        == "Note: switched: switched.tensors needs the input 'explain': true computes the gradients."
    )
    again = run_camgraph("triton-repository", str(models), "-o", str(output))
    assert (again.returncode, again.stderr.count("is there already")) == (1, 4)
