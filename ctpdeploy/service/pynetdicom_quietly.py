"""pynetdicom without its log, which quotes data sets, names of patients among them."""

import logging
from types import ModuleType

from ctpdeploy.optional import require
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom

__all__ = ["pynetdicom"]


def pynetdicom() -> ModuleType:
    """The package, from now on silent in logs; files that are sent by it go as they are, byte for byte.

    Raises:
        MissingPackageError: it is not installed.
    """
    package = require("pynetdicom", extra="node")
    pydicom()
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    package._config.STORE_SEND_CHUNKED_DATASET = True  # otherwise it decodes and encodes them
    return package
