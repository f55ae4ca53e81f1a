"""``report.json``: the lesion of a case, its findings, provenance and times."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.perfusion.brain import tissue
from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax

__all__ = ["SCHEMA", "build_report"]

SCHEMA = 2
"""2: ``findings`` with code and severity; ``warnings`` holds their sentences, for readers of schema 1."""


def build_report(
    case: Case,
    prediction: Prediction,
    *,
    seconds: Mapping[str, float],
    outputs: Mapping[str, str],
) -> dict[str, Any]:
    """The report as JSON values; volumes in ml, times in s, indices from 0.

    Args:
        case: as read.
        prediction: of that case.
        seconds: time of each stage.
        outputs: name of each file written beside the report.
    """
    window, geometry = prediction.outputs.window, case.geometry
    healthy = healthy_tmax(case.maps["tmax"], tissue(case))
    return {
        "schema": SCHEMA,
        "ctpdeploy": __version__,
        "intended_use": INTENDED_USE,
        "notices": list(prediction.notices),
        "case": case.identifier,
        "lesion": {
            "volume_ml": round(prediction.volume_ml, 3),
            "threshold": prediction.threshold,
            "components": [
                {
                    "volume_ml": round(component.volume_ml, 3),
                    "centroid_slice_row_column": [round(x, 1) for x in component.centroid],
                    "side": component.side,
                }
                for component in prediction.components
            ],
        },
        "perfusion_window": {
            "start_frame": window.start,
            "end_frame": window.end,
            "start_s": float(case.times[window.start]),
            "end_s": float(case.times[window.end]),
            "frames": list(window.frames),
            "averaged": [[first, end - 1] for first, end in window.spans] if window.averages else None,
        },
        "perfusion_maps": {
            "computed_with": dataclasses.asdict(case.perfusion.stated()) if case.perfusion else None,
            "healthy_tmax_s": None if healthy is None else round(healthy, 3),
        },
        "findings": [dataclasses.asdict(found) for found in prediction.findings],
        "warnings": [found.sentence for found in prediction.findings],
        "model_card": None if prediction.card is None else prediction.card.summary(),
        "engine": dataclasses.asdict(prediction.outputs.engine),
        **(dataclasses.asdict(prediction.provenance) if prediction.provenance else {}),
        "input": {
            "files": dict(case.files),
            "frames": len(case.series),
            "frame_interval_s": round(case.frame_interval, 6),
            "frame_interval_source": case.interval_source,
            "slices_rows_columns": list(case.series.shape[1:]),
            "spacing_mm": list(geometry.spacing),
            "spacing_source": geometry.spacing_source,
            "sides_stated": geometry.sides_stated,
            **({"arrival": case.arrival} if case.arrival else {}),
        },
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "outputs": dict(outputs),
    }
