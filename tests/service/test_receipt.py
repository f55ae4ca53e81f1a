"""Receipts: added to, beside the report, and outside its seal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.sealed_results import write_result

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.seal import require_whole
from ctpdeploy.service import Commitment, CommitmentState, Delivery, Outcome, State
from ctpdeploy.service.receipt import changed, deliveries_in, keep
from ctpdeploy.service.results import Result, open_result


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return open_result(write_result(tmp_path))


def delivery(result: Result, begun: str = "2026-01-02T03:04:05+00:00", state: State = State.STORED) -> Delivery:
    return Delivery(
        to="PACS@host:104",
        protocol="C-STORE",
        begun=begun,
        ended=begun,
        report_sha256=result.report_sha256,
        outcomes=tuple(Outcome(instance=one, state=state, status="0000") for one in result.instances),
        sha256=result.sha256,
    )


def test_a_delivery_is_what_where_when_and_how(result: Result):
    keep(result.folder, delivery(result))
    content = json.loads((result.folder / "receipt.json").read_text())
    assert (content["schema"], content["case"]) == (1, "case_1")
    assert content["intended_use"].startswith("Research use only")
    (found,) = content["deliveries"]
    assert (found["to"], found["protocol"], found["begun"][:4]) == ("PACS@host:104", "C-STORE", "2026")
    assert found["report_sha256"] == require_whole(result.folder)["report.json"]
    assert [one["file"] for one in found["objects"]] == [
        f"dicom/{name}.dcm" for name in ("overview", "report", "segmentation")
    ]
    for one, instance in zip(found["objects"], result.instances, strict=True):
        assert one["sop_instance_uid"] == instance.uid
        assert one["sha256"] == require_whole(result.folder)[one["file"]]
        assert (one["state"], one["status"], one["commitment"]) == ("stored", "0000", "not asked")


def test_receipts_break_no_seal_and_grow(result: Result):
    for second in range(3):
        keep(result.folder, delivery(result, begun=f"2026-01-02T03:04:0{second}+00:00"))
        require_whole(result.folder)
    assert [one["begun"][-7] for one in deliveries_in(result.folder)] == ["0", "1", "2"]


def test_what_is_known_later_takes_the_place_of_what_was(result: Result):
    first, uid = delivery(result), result.instances[1].uid
    keep(result.folder, first)
    word = Commitment(state=CommitmentState.REFUSED, transaction="1.2", remark="no", failed={uid: "no"})
    keep(result.folder, replace(first, commitment=word))
    (found,) = deliveries_in(result.folder)
    assert found["commitment"] == {"state": "refused", "transaction_uid": "1.2", "remark": "no"}
    assert [one["commitment"] for one in found["objects"]] == ["committed", "refused", "committed"]


def test_nobody_commits_to_what_is_not_stored(result: Result):
    unsent = replace(
        delivery(result, state=State.UNSENT), commitment=Commitment(state=CommitmentState.COMMITTED, transaction="1")
    )
    assert {one["commitment"] for one in unsent.to_json()["objects"]} == {"not asked"}
    assert (len(unsent.stored), len(unsent.failed)) == (0, 3)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema": 2, "deliveries": []}', '{"schema": 1, "deliveries": [{}]}']
)
def test_what_is_no_receipt_of_ours_is_not_overwritten(result: Result, content: str):
    (result.folder / "receipt.json").write_text(content)
    with pytest.raises(InputError, match="no receipt"):
        keep(result.folder, delivery(result))
    assert (result.folder / "receipt.json").read_text() == content


def test_another_content_of_one_uid_is_noticed_where_it_was_stored_before(result: Result):
    uid = result.instances[0].uid
    now = {**result.sha256, uid: "another"}
    past = [delivery(result).to_json()]
    assert changed(past, "PACS@host:104", result.sha256) == frozenset()
    assert changed(past, "PACS@host:104", now) == {uid}
    assert changed(past, "OTHER@host:104", now) == frozenset()
    assert changed([delivery(result, state=State.REFUSED).to_json()], "PACS@host:104", now) == frozenset()
