"""Options that several tests of the command line give."""

SMALL = ["--preset", "tiny", "--set", "width=4", "--set", "epochs=1", "--set", "preprocess.slice_shape=[64,64]"]
"""Of a run of one epoch at width 4."""
