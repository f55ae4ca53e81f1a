"""ctpdeploy: stroke lesions from CT perfusion, from training to the scanner workstation.

Research use only, not for clinical use.
"""

import logging
import os
from typing import Final

__all__ = ["INTENDED_USE", "__version__"]

__version__: Final = "0.1.0"

INTENDED_USE: Final = "Research use only, not for clinical use."

# ONNX Runtime 1.32 keeps an id of the machine in the user's cache and reports to its maker, unless this is set when it
# is imported; who wants that sets it to 0
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# who wants the log adds a handler; without this one Python writes the warnings of a library to stderr by itself
logging.getLogger(__name__).addHandler(logging.NullHandler())
