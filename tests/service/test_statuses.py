from pathlib import Path

import pytest
from support.sealed_results import write_object

from ctpdeploy.service import State, read_instance
from ctpdeploy.service.statuses import outcome_of_status


@pytest.mark.parametrize(
    ("status", "state", "transient", "remark"),
    [
        (0x0000, State.STORED, False, ""),
        (0x0107, State.STORED, False, "stored with a warning"),
        (0xB000, State.STORED, False, "elements were coerced"),
        (0xB0FF, State.STORED, False, "stored with a warning"),
        (0xA700, State.REFUSED, True, "out of resources"),
        (0xA7FF, State.REFUSED, True, "out of resources"),
        (0xA900, State.REFUSED, False, "it does not match its SOP class"),
        (0xC123, State.REFUSED, False, "it cannot be understood"),
        (0x0122, State.REFUSED, False, "its SOP class is not supported"),
        (0xFE00, State.REFUSED, False, "refused"),
    ],
)
def test_warnings_are_stored_and_only_want_of_resources_is_transient(
    tmp_path: Path, status: int, state: State, transient: bool, remark: str
):
    write_object(tmp_path / "x.dcm")
    outcome = outcome_of_status(read_instance(tmp_path / "x.dcm"), status)
    assert (outcome.state, outcome.transient, outcome.remark) == (state, transient, remark)
    assert outcome.status == f"{status:04x}"
