"""The machine's own speed."""

from ctpdeploy.benchmark.ceilings import measure_ceilings


def test_ceilings_are_speeds_of_this_machine():
    found = measure_ceilings()
    assert 0.1 < found.sgemm_gflops < 1e5
    assert 0.1 < found.copy_gb_per_s < 1e4
