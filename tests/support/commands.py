"""Options that several tests of the command line give."""

_SETTINGS = ("width=4", "epochs=1", "preprocess.slice_shape=[48,48]", "preprocess.pixel_mm=4")
SMALL = ["--preset", "tiny", *(word for setting in _SETTINGS for word in ("--set", setting))]
"""Of a run of one epoch at width 4."""
