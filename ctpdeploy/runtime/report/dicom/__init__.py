"""Results as DICOM objects, in the study and the space of the images that they were made of.

Packages that are not always installed are imported by the modules beside this one: import ``write_dicom`` from
:mod:`ctpdeploy.runtime.report.dicom.writer`, which imports them when it is called.
"""
