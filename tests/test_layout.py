"""Tests mirror the package: a module is tested in the file of its name, or together with others in one named here."""

from pathlib import Path

import ctpdeploy

PACKAGE, TESTS = Path(ctpdeploy.__file__).parent, Path(__file__).parent

TOGETHER: dict[str, tuple[str, ...]] = {
    # suites measure all of a bundle, and what they make can be looked at when they have run
    "benchmark/test_suite.py": (
        *("benchmark/measurements.py", "benchmark/per_network.py", "benchmark/processes.py"),
        *("benchmark/results.py", "benchmark/tables.py"),
    ),
    "emulator/test_backend.py": ("emulator/network.py",),
    # an export is slow: what it does on the way and what its command prints is asserted of the same few
    "export/test_bundle_writer.py": ("cli/export.py", "export/graph_builder.py", "export/verified_graphs.py"),
    "export/test_gate.py": ("runtime/gate/gate.py", "runtime/gate/verification.py"),
    # a study as it is written is what a reader finds in it
    "phantom/dicom/test_study.py": (
        *("phantom/dicom/classic.py", "phantom/dicom/disc.py", "phantom/dicom/enhanced.py", "phantom/dicom/images.py"),
        *("phantom/dicom/layouts.py", "phantom/dicom/makers.py", "phantom/dicom/scan.py", "phantom/dicom/truth.py"),
    ),
    "phantom/dicom/test_surroundings.py": (
        *("phantom/dicom/documents.py", "phantom/dicom/groups.py", "phantom/dicom/junk.py", "phantom/dicom/maps.py"),
        *("phantom/dicom/map_styles.py", "phantom/dicom/multiframe_maps.py", "phantom/dicom/quantities.py"),
    ),
    "phantom/dicom/test_template.py": ("phantom/dicom/headers.py", "phantom/dicom/syntaxes.py"),
    # parts of a patient, which can be judged where they meet
    "phantom/test_patient.py": (
        *("phantom/enhancement.py", "phantom/protocol.py", "phantom/skull.py", "phantom/vessels.py"),
    ),
    "phantom/test_stroke.py": (
        *("phantom/diffusion.py", "phantom/head.py", "phantom/ischaemia.py", "phantom/territories.py"),
    ),
    # the parts of an engine on the GPU, which work on a device only together
    "runtime/backends/cuda/test_engine.py": (
        *("runtime/backends/cuda/batches.py", "runtime/backends/cuda/graph_cache.py"),
        *("runtime/backends/cuda/nan_check.py", "runtime/backends/cuda/network.py"),
        *("runtime/backends/cuda/workspace.py", "runtime/backends/engine.py"),
    ),
    "runtime/backends/cuda/test_preprocessing.py": ("runtime/backends/cuda/resample.py",),
    "runtime/backends/cuda/test_pycuda_device.py": (
        *("runtime/backends/cuda/device.py", "runtime/backends/cuda/errors.py", "runtime/backends/cuda/fatbin.py"),
    ),
    "runtime/backends/native/test_engine.py": (
        *("runtime/backends/native/buffer_pool.py", "runtime/backends/native/build.py"),
        *("runtime/backends/native/library.py", "runtime/backends/native/network.py"),
        *("runtime/backends/native/weights.py",),
    ),
    "runtime/backends/native/test_kernels.py": (
        *("runtime/backends/native/lazy_tensor.py", "runtime/backends/native/operators.py"),
    ),
    "runtime/backends/ncnn_cpu/test_engine.py": (
        *("runtime/backends/ncnn_cpu/layers.py", "runtime/backends/ncnn_cpu/network.py"),
    ),
    "runtime/backends/ncnn_cpu/test_translate.py": ("runtime/backends/ncnn_cpu/translation_state.py",),
    "runtime/backends/test_registry.py": ("runtime/backends/backend.py",),
    # every backend against the reference, operator by operator
    "runtime/backends/onnx_graph/test_operators.py": (
        *("runtime/backends/onnx_graph/graph.py", "runtime/backends/onnx_graph/numpy_reference.py"),
        *("runtime/backends/onnx_graph/self_test.py",),
    ),
    "runtime/backends/ort_cuda/test_backend.py": (
        *("runtime/backends/ort_cuda/network.py", "runtime/backends/ort_cuda/session.py"),
    ),
    "runtime/backends/trt/test_build.py": ("runtime/backends/trt/build_options.py",),
    "runtime/backends/trt/test_deserialise.py": ("runtime/backends/trt/callbacks.py",),
    "cli/test_warmup.py": ("runtime/backends/trt/last_warmup.py",),
    "runtime/bundle/test_bundle.py": ("runtime/backends/ort_cpu.py",),
    "runtime/bundle/test_manifest.py": ("runtime/bundle/json_schema.py",),
    "runtime/bundle/test_onnx_check.py": ("runtime/bundle/protobuf.py",),
    # attacks on a bundle, whoever has to notice them
    "runtime/bundle/test_refusals.py": ("cli/verify.py", "runtime/bundle/archive.py", "runtime/bundle/signature.py"),
    # images as planes, planes as stacks, series as kinds: what a study is asked is asked of all of them
    "runtime/dicom/test_stack.py": ("runtime/dicom/copies.py", "runtime/dicom/places.py", "runtime/dicom/plane.py"),
    "runtime/dicom/test_study.py": (
        *("runtime/dicom/choice.py", "runtime/dicom/description.py", "runtime/dicom/kinds.py"),
        *("runtime/dicom/series.py", "runtime/dicom/tags.py"),
    ),
    "runtime/dicom/test_voxels.py": ("runtime/dicom/enhanced.py",),
    # from files to a case, by one layout and the other
    "runtime/io/test_cases.py": ("runtime/io/case_ref.py", "runtime/io/layout.py"),
    "runtime/io/test_geometry.py": ("runtime/data/geometry.py",),
    "runtime/io/test_nifti_case.py": (
        *("runtime/data/case.py", "runtime/data/source.py", "runtime/io/assembly.py", "runtime/io/nifti.py"),
    ),
    "runtime/io/test_nifti_space.py": ("runtime/io/nifti_forms.py",),
    "runtime/report/dicom/test_segmentation.py": (
        *("runtime/report/dicom/codes.py", "runtime/report/dicom/context.py"),
        *("runtime/report/dicom/source_images.py",),
    ),
    "runtime/report/test_writers.py": (
        *("runtime/report/overview.py", "runtime/report/overview_columns.py", "runtime/report/report_json.py"),
        *("runtime/report/slice_view.py",),
    ),
    "runtime/test_pipeline.py": (
        *("runtime/backends/reference_path.py", "runtime/data/finding.py", "runtime/data/prediction.py"),
        *("runtime/data/slices.py", "runtime/io/arrays.py"),
    ),
    # what the audit trail writes down, and what a page shows
    "service/node/test_audit.py": ("service/node/events.py",),
    "service/node/page/test_app.py": ("service/node/page/subject.py",),
    # what an archive says is seen in what is made of it
    "service/test_delivery.py": ("service/archive.py",),
    "service/test_push.py": ("service/pynetdicom_quietly.py",),
    "train/networks/test_parameters.py": ("train/networks/slnet.py", "train/networks/unet.py"),
    "train/networks/test_segmenters.py": ("train/networks/squeeze_excite.py",),
    "train/reproduction/figures/test_drawing.py": ("cli/figures.py",),
    "train/reproduction/figures/test_panels.py": (
        *("train/reproduction/figures/figure_cases.py", "train/reproduction/figures/page.py"),
        *("train/reproduction/figures/pictures.py",),
    ),
    # all systems trained once, and everything that is made of them
    "train/reproduction/test_reproduction.py": ("train/reproduction/comparison.py",),
    "train/test_cache.py": ("train/prepared_case.py",),
    # a run, stopped, resumed and finished
    "train/test_run_folder.py": ("train/tensorboard.py",),
    "train/test_trainer.py": ("train/optimiser_state.py", "train/progress.py"),
}
"""Files of tests, and the modules without a file of their own that each tests."""


def test_every_module_is_tested_in_a_file_that_can_be_found():
    together = {module for modules in TOGETHER.values() for module in modules}
    modules = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")}
    assert len(modules) > 200
    lost = {
        module.as_posix()
        for module in modules
        if module.as_posix() not in together and not (TESTS / module.with_name(f"test_{module.name}")).is_file()
    }
    assert not lost, "write a file of tests of their name, or name the file that tests them in TOGETHER"


def test_the_files_named_are_there():
    assert all((TESTS / file).is_file() for file in TOGETHER)
