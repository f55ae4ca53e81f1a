"""Malicious and damaged bundles: each is refused with its own sentence, and nothing is written."""

import json
import os
import pickle
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import bundles, nifti_cases

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime.bundle.archive import whole_archive
from ctpdeploy.runtime.bundle.signature import sign


class Attack:
    """Leaves a mark where it is unpickled."""

    mark: Path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


@dataclass
class Scene:
    """A good bundle to be spoilt, a place for other things, and the maker's and a stranger's keys."""

    folder: Path
    place: Path
    private: Path
    public: Path
    strange_private: Path

    def zip(self, **options: object) -> Path:
        """The bundle as a zip, made as anybody makes one."""
        archive = self.place / "bundle.zip"
        with zipfile.ZipFile(archive, "w", **options) as written:  # type: ignore[arg-type]
            for path in sorted(self.folder.iterdir()):
                written.write(path, path.name)
        return archive

    def zip_with(self, name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Path:
        """The bundle as a zip with one member more."""
        archive = self.zip()
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        with zipfile.ZipFile(archive, "a") as written, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of duplicates, which are what is wanted
            written.writestr(member, content)
        return archive

    def manifest(self, change: Callable[[dict], object]) -> Path:
        bundles.edit_manifest(self.folder, change)
        return self.folder

    def network(self, change: Callable[[onnx.ModelProto], object]) -> Path:
        bundles.edit_network(self.folder, change)
        return self.folder

    def bytes_of(self, name: str, content: bytes) -> Path:
        """Other bytes in a file, with the hash that they have."""
        (self.folder / name).write_bytes(content)
        bundles.reseal(self.folder)
        return self.folder


def renamed_pickle(scene: Scene) -> Path:
    Attack.mark = scene.place / "unpickled"
    return scene.bytes_of("pipeline.onnx", pickle.dumps(Attack()))


def swapped_files(scene: Scene) -> Path:
    one, other = scene.folder / "segmenter.onnx", scene.folder / "pipeline.onnx"
    content = one.read_bytes()
    other.rename(one)
    other.write_bytes(content)
    return scene.folder


def swapped_files_resealed(scene: Scene) -> Path:
    swapped_files(scene)
    bundles.reseal(scene.folder)
    return scene.folder


def swapped_names(scene: Scene) -> Path:
    def swap(content: dict) -> None:
        one, other = content["networks"]["segmenter"], content["networks"]["pipeline"]
        one["file"], other["file"] = other["file"], one["file"]

    return scene.manifest(swap)


def one_bit(scene: Scene) -> Path:
    path = scene.folder / "pipeline.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return scene.folder


def external(location: str, kind: int = TensorProto.EXTERNAL) -> Callable[[Scene], Path]:
    def spoil(model: onnx.ModelProto) -> None:
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = kind
        weight.external_data.add(key="location", value=location)

    return lambda scene: scene.network(spoil)


def weight_of(value: float, kind: type = np.float32) -> Callable[[onnx.ModelProto], None]:
    def spoil(model: onnx.ModelProto) -> None:
        weight = model.graph.initializer[0]
        array = numpy_helper.to_array(weight).copy().astype(kind)
        array[0, 3] = value
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))

    return spoil


def constant_nan(model: onnx.ModelProto) -> None:
    value = helper.make_tensor("c", TensorProto.FLOAT, [1], [float("nan")])
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))


def half_nan(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("h", TensorProto.FLOAT16, [1], [float("nan")]))


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["lesion", ""], ["z"], body=body))


def huge_axes(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**31, 2**31, 5]


def unbounded_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**40


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 7


def second_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("", 7))


def foreign_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    model.graph.node[1].domain = "com.evil"


def foreign_node(model: onnx.ModelProto) -> None:
    model.graph.node[1].domain = "com.evil"


def own_function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="own")


def other_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def other_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "mask"


def text_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("t", TensorProto.STRING, [1], [b"x"]))


def two_graphs(scene: Scene) -> Path:
    path = scene.folder / "pipeline.onnx"
    evil = onnx.ModelProto(graph=onnx.load(path).graph)
    return scene.bytes_of("pipeline.onnx", path.read_bytes() + evil.SerializeToString())


def truncated_network(scene: Scene) -> Path:
    return scene.bytes_of("pipeline.onnx", (scene.folder / "pipeline.onnx").read_bytes()[:-40])


def duplicate_keys(scene: Scene) -> Path:
    manifest = scene.folder / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"schema": 3', '"schema": 3, "schema": 3', 1))
    return scene.folder


def raw_manifest(content: bytes) -> Callable[[Scene], Path]:
    def spoil(scene: Scene) -> Path:
        (scene.folder / "bundle.json").write_bytes(content)
        return scene.folder

    return spoil


def field(*path: str, value: object) -> Callable[[Scene], Path]:
    """Another value somewhere in the manifest."""

    def change(content: dict) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return lambda scene: scene.manifest(change)


def linked_file(scene: Scene) -> Path:
    path = scene.folder / "pipeline.onnx"
    path.rename(scene.place / "elsewhere.onnx")
    path.symlink_to(scene.place / "elsewhere.onnx")
    return scene.folder


def folder_inside(scene: Scene) -> Path:
    (scene.folder / "more").mkdir()
    return scene.folder


def extra_file(scene: Scene) -> Path:
    (scene.folder / "libcustom.so").write_bytes(b"x")
    return scene.folder


def missing_file(scene: Scene) -> Path:
    (scene.folder / "segmenter.onnx").unlink()
    return scene.folder


def edited_verification(scene: Scene) -> Path:
    (scene.folder / "verification.json").write_text('{"trials": [{"checks": [{"held": true}, {"held": true}]}]}')
    return scene.folder


def no_manifest(scene: Scene) -> Path:
    (scene.folder / "bundle.json").unlink()
    return scene.folder


def bomb(scene: Scene) -> Path:
    (scene.folder / "pipeline.onnx").write_bytes(bytes(2**24))
    return scene.zip(compression=zipfile.ZIP_DEFLATED)


def patched_zip(offset: int, size: str, value: int, member: int = -1) -> Callable[[Scene], Path]:
    """A zip with another number in an entry of its central directory."""

    def spoil(scene: Scene) -> Path:
        archive = scene.zip()
        content = bytearray(archive.read_bytes())
        entries = [found.start() for found in re.finditer(rb"PK\x01\x02", content)]
        struct.pack_into(size, content, entries[member] + offset, value)
        archive.write_bytes(content)
        return archive

    return spoil


def truncated_zip(scene: Scene) -> Path:
    archive = scene.zip()
    archive.write_bytes(archive.read_bytes()[:-300])
    return archive


def changed_zip(scene: Scene) -> Path:
    archive = scene.zip()
    content = bytearray(archive.read_bytes())
    content[content.index(b"probability")] ^= 1
    archive.write_bytes(content)
    return archive


def no_zip(scene: Scene) -> Path:
    archive = scene.place / "bundle.zip"
    archive.write_bytes(pickle.dumps({"weights": 1}))
    return archive


def many_members(scene: Scene) -> Path:
    archive = scene.zip()
    with zipfile.ZipFile(archive, "a") as written:
        for i in range(50):
            written.writestr(f"a{i}.onnx", b"")
    return archive


def lzma_zip(scene: Scene) -> Path:
    return scene.zip(compression=zipfile.ZIP_LZMA)


def signed_then(change: Callable[[Scene], Path] | None = None, *, strange: bool = False) -> Callable[[Scene], Path]:
    def spoil(scene: Scene) -> Path:
        sign(scene.folder, scene.strange_private if strange else scene.private)
        return change(scene) if change else scene.folder

    return spoil


def weights_changed_and_resealed(scene: Scene) -> Path:
    return scene.network(weight_of(0.5))


def no_signature_format(scene: Scene) -> Path:
    (scene.folder / "bundle.sig").write_text("{}")
    return scene.folder


def huge_signature(scene: Scene) -> Path:
    (scene.folder / "bundle.sig").write_bytes(b" " * 2**21)
    return scene.folder


def signature_of_another(scene: Scene) -> Path:
    other = bundles.write_bundle(scene.place / "other.ctpbundle")
    bundles.edit_network(other, weight_of(0.25))
    sign(other, scene.private)
    shutil.copy(other / "bundle.sig", scene.folder)
    return scene.folder


DAMAGES: dict[str, tuple[Callable[[Scene], Path], str]] = {
    "a pickle called onnx": (renamed_pickle, r"pipeline\.onnx is refused \(it is (no ONNX file|truncated)"),
    "networks swapped": (swapped_files, "is not the file that was sealed"),
    "networks swapped and resealed": (swapped_files_resealed, r"refused \(its outputs are .*, in bundle\.json"),
    "networks swapped in the manifest": (swapped_names, r"takes pipeline\.onnx for its segmenter"),
    "one bit changed": (one_bit, r"pipeline\.onnx is not the file that was sealed"),
    "hash edited": (field("networks", "pipeline", "sha256", value="0" * 64), r"pipeline\.onnx is not the file"),
    "size edited": (field("networks", "pipeline", "size", value=7), r"pipeline\.onnx is not the file"),
    "gate's record edited": (edited_verification, r"verification\.json is not the file that was sealed"),
    "external data outside": (external("../../etc/passwd"), "outside, in '../../etc/passwd'"),
    "external data, absolute": (external("/etc/passwd"), "outside, in '/etc/passwd'"),
    "external data, not said to be": (
        external("../../etc/passwd", TensorProto.DEFAULT),
        "outside, in '../../etc/passwd'",
    ),
    "external data beside": (external("weights.bin"), r"outside, in 'weights\.bin'"),
    "NaN in a weight": (lambda s: s.network(weight_of(np.nan)), "'weight' hold NaN or infinity"),
    "infinity in a weight": (lambda s: s.network(weight_of(-np.inf)), "'weight' hold NaN or infinity"),
    "NaN in a half weight": (lambda s: s.network(weight_of(np.nan, np.float16)), "'weight' hold NaN or infinity"),
    "NaN in a half number": (lambda s: s.network(half_nan), "'h' hold NaN or infinity"),
    "NaN in a constant": (lambda s: s.network(constant_nan), "'c' hold NaN or infinity"),
    "a loop": (lambda s: s.network(loop), "operator Loop has a graph"),
    "huge tensor": (lambda s: s.network(huge_axes), "'weight' are not as large as their shape"),
    "huge input": (lambda s: s.network(unbounded_input), "its inputs are .*1099511627776"),
    "huge shape in the manifest": (
        field("networks", "pipeline", "inputs", value={"features": ["N", 5, 2**40, 64]}),
        r"features\.2 is above 1024",
    ),
    "huge grid": (field("preprocess", "slice_shape", value=[100000, 100000]), r"slice_shape\.0 is above 1024"),
    "grid of another size": (field("preprocess", "slice_shape", value=[128, 128]), "does not fit its preprocessing"),
    "other opset": (lambda s: s.network(other_opset), "uses opset \\[7\\], not 20"),
    "two opsets": (lambda s: s.network(second_opset), "uses opset \\[20, 7\\], not 20"),
    "opset that is none": (field("networks", "pipeline", "opset", value=3), "opset is below 17"),
    "operators of another domain": (lambda s: s.network(foreign_domain), "the domain 'com.evil'"),
    "a node of another domain": (lambda s: s.network(foreign_node), "the domain 'com.evil'"),
    "functions": (lambda s: s.network(own_function), "brings functions of its own"),
    "float64 input": (lambda s: s.network(other_type), "'features' is not float32"),
    "another output": (lambda s: s.network(other_output), "its outputs are .*mask"),
    "weights of text": (lambda s: s.network(text_weights), "'t' have a type that no network here has"),
    "two graphs in one file": (two_graphs, r"pipeline\.onnx is refused"),
    "truncated onnx": (truncated_network, r"pipeline\.onnx is refused \(it is truncated\)"),
    "empty onnx": (lambda s: s.bytes_of("pipeline.onnx", b"\0"), r"pipeline\.onnx is refused"),
    "other schema": (field("schema", value=99), "schema 99, this version reads 3: ctpdeploy 0.1.0, which wrote it"),
    "schema of a liar": (
        lambda s: s.manifest(lambda c: c.update(schema=4, provenance={"versions": {"ctpdeploy": "\x1b[31m rm -rf"}})),
        "schema 4, this version reads 3: only the ctpdeploy that wrote it",
    ),
    "no schema": (field("schema", value="3"), "it states no schema"),
    "manifest is no JSON": (raw_manifest(b"\x80\x04pickle"), r"bundle\.json is damaged"),
    "manifest is a list": (raw_manifest(b"[]"), "it states no schema"),
    "manifest nested deeply": (raw_manifest(b"[" * 100000), r"bundle\.json is damaged"),
    "manifest huge": (raw_manifest(b" " * 2**21), r"bundle\.json is larger than"),
    "manifest with NaN": (field("preprocess", "time_window", value=float("nan")), "NaN is no JSON"),
    "manifest with duplicate keys": (duplicate_keys, "a key stands there twice"),
    "unknown key": (field("on_open", value="rm -rf /"), "on_open is not known"),
    "no pipeline": (lambda s: s.manifest(lambda c: c["networks"].pop("pipeline")), "lacks one of .*pipeline"),
    "file with ..": (field("networks", "pipeline", "file", value="../pipeline.onnx"), "pipeline.file does not match"),
    "absolute file": (field("networks", "pipeline", "file", value="/etc/passwd"), "pipeline.file does not match"),
    "file of Windows": (field("networks", "pipeline", "file", value="C:\\a.onnx"), "pipeline.file does not match"),
    "file that is a device": (field("networks", "pipeline", "file", value="con.onnx"), "pipeline.file does not match"),
    "file that is another": (field("networks", "pipeline", "file", value="bundle.onnx"), "takes bundle.onnx for its"),
    "other file with ..": (
        field("files", "../x.json", value={"sha256": "0" * 64, "size": 1}),
        r"files\.\.\./x\.json does not match",
    ),
    "a file is a link": (linked_file, r"pipeline\.onnx is a link or a folder"),
    "a folder inside": (folder_inside, "more is a link or a folder"),
    "an extra file": (extra_file, r"libcustom\.so is not listed"),
    "a missing file": (missing_file, r"segmenter\.onnx is missing"),
    "no manifest": (no_manifest, "is not a bundle: it has no bundle.json"),
    "nothing there": (lambda s: s.place / "nothing", "is not there"),
    "zip slip": (lambda s: s.zip_with("../evil.onnx"), r"'\.\./evil\.onnx' would be unpacked outside"),
    "zip, absolute": (lambda s: s.zip_with("/etc/evil.onnx"), "'/etc/evil.onnx' would be unpacked outside"),
    "zip, of Windows": (lambda s: s.zip_with("C:\\evil.onnx"), "would be unpacked outside"),
    "zip with a link": (
        lambda s: s.zip_with("evil.onnx", b"/etc/passwd", stat.S_IFLNK | 0o777),
        "'evil.onnx' is a link or no file",
    ),
    "zip with a device": (lambda s: s.zip_with("evil.onnx", b"", stat.S_IFCHR | 0o644), "is a link or no file"),
    "zip with a folder": (lambda s: s.zip_with("a/b.onnx"), "'a/b.onnx' is no file of a bundle"),
    "zip with a duplicate": (lambda s: s.zip_with("pipeline.onnx"), r"two members are called 'pipeline\.onnx'"),
    "zip with a duplicate in capitals": (lambda s: s.zip_with("Pipeline.ONNX"), r"two members are called 'pipeline"),
    "zip in a zip": (lambda s: s.zip_with("more.zip"), r"'more\.zip' is no file of a bundle"),
    "zip with an engine": (lambda s: s.zip_with("pipeline.engine"), r"'pipeline\.engine' is no file of a bundle"),
    "zip with an unlisted file": (lambda s: s.zip_with("extra.onnx"), r"extra\.onnx is not listed"),
    "zip with a null in a name": (lambda s: s.zip_with("a\0.onnx"), "is no file of a bundle"),
    "zip bomb": (bomb, r"'pipeline\.onnx' would unpack to 16777216 bytes"),
    "zip that states 4 GB": (patched_zip(24, "<I", 2**32 - 2), "would unpack to 4294967294 bytes"),
    "zip that states too little": (patched_zip(24, "<I", 5), "is no whole zip of a bundle"),
    "zip encrypted": (patched_zip(8, "<H", 1), r"is refused \('verification\.json' is encrypted\)"),
    "zip with overlapping members": (patched_zip(42, "<I", 0), "its members overlap"),
    "zip of an odd method": (lzma_zip, "is compressed in a way"),
    "zip of many members": (many_members, "it has 55 members"),
    "zip truncated": (truncated_zip, "is no whole zip of a bundle"),
    "zip changed": (changed_zip, "is no whole zip of a bundle"),
    "no zip": (no_zip, "is no whole zip of a bundle"),
}

SIGNATURES: dict[str, tuple[Callable[[Scene], Path], str]] = {
    "unsigned": (lambda s: s.folder, "is not signed, and a signature is required"),
    "unsigned zip": (lambda s: s.zip(), "is not signed, and a signature is required"),
    "signed by a stranger": (signed_then(strange=True), "damaged or was not made with the key"),
    "weights changed after signing": (signed_then(weights_changed_and_resealed), "was changed after it was signed"),
    "manifest changed after signing": (signed_then(field("system", value="evil")), "was changed after it was signed"),
    "file added after signing": (signed_then(extra_file), "was changed after it was signed"),
    "file removed after signing": (signed_then(missing_file), "was changed after it was signed"),
    "file of git added after signing": (
        signed_then(lambda s: ((s.folder / ".gitignore").write_text("x"), s.folder)[1]),
        "was changed after it was signed",
    ),
    "signature of another bundle": (signature_of_another, "was changed after it was signed"),
    "signature without content": (no_signature_format, "damaged or was not made with the key"),
    "signature huge": (huge_signature, "which no signature is"),
}

CASES = [(name, *case, False) for name, case in DAMAGES.items()] + [
    (name, *case, True) for name, case in SIGNATURES.items()
]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nifti_cases.write_isles(tmp_path_factory.mktemp("patient") / "case_7", shape=(64, 64, 2), frames=16)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    private, public = bundles.write_keys(place, "maker")
    return Scene(
        folder=bundles.write_bundle(place / "small.ctpbundle"),
        place=place,
        private=private,
        public=public,
        strange_private=bundles.write_keys(place, "stranger")[0],
    )


def content_of(folder: Path) -> dict[str, bytes | str]:
    """Everything under a folder: bytes of files, targets of links."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()  # noqa: PTH115
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize(("spoil", "message", "signature"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_it_is_refused_in_one_sentence_and_nothing_is_written(
    scene: Scene,
    patient: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Scene], Path],
    message: str,
    signature: bool,
):
    bundle = spoil(scene)
    before = content_of(tmp_path)
    key = ["--require-signature", str(scene.public)] if signature else []
    for command in (
        ["verify", str(bundle), *key],
        ["infer", str(bundle), str(patient), "--out", str(tmp_path / "out"), *key],
    ):
        assert run(command) == ExitCode.INPUT
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = [line for line in printed.err.splitlines() if line.startswith("Error: ")]
        assert re.search(message, line), line
        assert line.isprintable()
        assert len(line) < 800
    assert content_of(tmp_path) == before
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("zipped", [False, True])
def test_the_same_bundle_unspoilt_is_taken(scene: Scene, patient: Path, tmp_path: Path, zipped: bool, capsys):  # noqa: ANN001
    sign(scene.folder, scene.private)
    bundle = scene.zip() if zipped else scene.folder
    key = ["--require-signature", str(scene.public)]
    assert run(["verify", str(bundle), *key, "--json"]) == ExitCode.DONE
    findings = json.loads(capsys.readouterr().out)
    assert findings["signature"] == "holds"
    assert set(findings["files"]) == {"pipeline.onnx", "segmenter.onnx", "verification.json", "reference.safetensors"}
    assert findings["networks"]["pipeline"]["sees"] == ["features"]
    out = tmp_path / "out"
    assert run(["infer", str(bundle), str(patient), "--out", str(out), *key]) == ExitCode.DONE
    assert (out / "case_7" / "sub-case7_desc-lesion_mask.nii.gz").is_file()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_help_teaches(capsys: pytest.CaptureFixture[str]):
    assert run(["verify", "--help"]) == ExitCode.DONE
    assert "Example: ctpdeploy verify" in " ".join(capsys.readouterr().out.split())


def test_evaluate_asks_for_the_signature_too(scene: Scene, patient: Path, tmp_path: Path, capsys):  # noqa: ANN001
    arguments = ["evaluate", str(scene.folder), str(patient), "--out", str(tmp_path / "out")]
    assert run([*arguments, "--require-signature", str(scene.public)]) == ExitCode.INPUT
    assert "is not signed, and a signature is required" in capsys.readouterr().err


GATE = {"precision": "fp32", "static_bounds": {}}


def test_a_gate_that_did_not_hold_has_its_own_exit_code(scene: Scene, capsys: pytest.CaptureFixture[str]):
    trials = [{"checks": [{"held": True}]}, {"checks": [{"held": False}]}]
    bundle = scene.bytes_of("verification.json", json.dumps({"trials": trials, **GATE}).encode())
    assert run(["verify", str(bundle)]) == ExitCode.GUARD
    assert "records a gate that did not hold (1 of 2 checks held)" in capsys.readouterr().err


def test_a_key_that_is_none_is_a_wrong_command(scene: Scene, capsys: pytest.CaptureFixture[str]):
    for key in (scene.private, scene.place / "nothing", scene.folder / "bundle.json"):
        assert run(["verify", str(scene.folder), "--key", str(key)]) == ExitCode.USAGE
        assert "is no public key" in capsys.readouterr().err


def test_equal_bundles_are_equal_zips(scene: Scene, tmp_path: Path):
    archives = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for archive in archives:
        with whole_archive(archive) as folder:
            for path in sorted(scene.folder.iterdir(), reverse=True):
                shutil.copyfile(path, folder / path.name)
                os.utime(folder / path.name, (0, 1e9 * len(archive.name)))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.zip", "place", "temporary", "two.zip"]
    assert run(["verify", str(archives[0])]) == ExitCode.DONE


UNPACKED = """
import os, signal, sys
from pathlib import Path
from ctpdeploy.runtime.bundle.archive import Unpacked
unpacked = Unpacked(Path(sys.argv[1]))
assert (unpacked.folder / "bundle.json").is_file()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is swept where there are no locks")
def test_what_a_killed_process_unpacked_is_swept_by_the_next(scene: Scene, tmp_path: Path):
    place = tmp_path / "temporary"
    archive = scene.zip()
    for end, left in (("killed", 1), ("killed", 1), ("by itself", 0)):
        command = [sys.executable, "-c", UNPACKED, str(archive), end]
        done = subprocess.run(command, env=os.environ | {"TMPDIR": str(place)}, timeout=60, check=False)
        assert done.returncode == (0 if end == "by itself" else -signal.SIGKILL)
        assert len(list(place.iterdir())) == left
