"""Studies: synthetic patients as scanners of several makers send them, with what else a study holds around them.

Research use only; the patients are equations, and so are their names.
"""

from ctpdeploy.phantom.dicom.layouts import LAYOUTS, StudyLayout
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.phantom.dicom.timing import slice_times
from ctpdeploy.phantom.dicom.truth import ScanTruth, StudyTruth

__all__ = ["LAYOUTS", "ScanTruth", "StudyLayout", "StudyTruth", "slice_times", "write_study"]
