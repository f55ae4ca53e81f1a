"""Helpers of the tests: cases on disk, bundles, small networks, stand-ins for drivers and packages."""
