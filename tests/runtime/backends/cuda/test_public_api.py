from ctpdeploy.runtime.backends import cuda


def test_the_front_door_is_what_it_imports():
    ours = {n for n, v in vars(cuda).items() if getattr(v, "__module__", "").startswith("ctpdeploy.")}
    assert ours | {"HOUNSFIELD"} == set(cuda.__all__)
