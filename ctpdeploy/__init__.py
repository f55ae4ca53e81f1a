"""ctpdeploy: stroke lesions from CT perfusion, from training to the scanner workstation.

Research use only, not for clinical use.
"""

from typing import Final

__all__ = ["INTENDED_USE", "__version__"]

__version__: Final = "0.1.0"

INTENDED_USE: Final = "Research use only, not for clinical use."
