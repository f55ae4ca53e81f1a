"""pydicom without its warnings: they quote values of headers, names of patients among them."""

import logging
import warnings
from types import ModuleType

from ctpdeploy.optional import require

__all__ = ["pydicom"]


def pydicom() -> ModuleType:
    """The package, from now on silent on stderr and in logs.

    Raises:
        MissingPackageError: it is not installed.
    """
    package = require("pydicom", extra="dicom")
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    return package
