"""DICOM: studies as scanners send them, their series and what each is, and CT perfusion as a grid of images in HU."""

from ctpdeploy.runtime.dicom.stack import Stack, find_stacks
from ctpdeploy.runtime.dicom.study import Study, find_studies
from ctpdeploy.runtime.dicom.voxels import read_voxels

__all__ = ["Stack", "Study", "find_stacks", "find_studies", "read_voxels"]
