"""Metrics: the node in numbers, in Prometheus' text format."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.service.node.events import Act
from ctpdeploy.service.node.ledger import DeliveryState, StudyState
from ctpdeploy.service.node.page.subject import Subject
from ctpdeploy.service.node.tally import BOUNDS, Histogram

__all__ = ["CONTENT_TYPE", "metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX: Final = "ctpdeploy_node_"

_Sample = tuple[str, Mapping[str, str], float]


def metrics(subject: Subject) -> str:
    """The metrics of a node."""
    studies = subject.ledger.studies()
    states = Counter(study.state for study in studies)
    deliveries = Counter((one.archive, one.state) for one in subject.ledger.deliveries())
    archives = sorted({archive for archive, _ in deliveries})
    at_work = [study.received for study in studies if study.state in (StudyState.COMPLETE, StudyState.COMPUTING)]
    info = {"version": __version__, "bundle": subject.bundle, "backend": subject.backend}
    families = (
        _family("info", "gauge", "What the node runs.", [("", info, 1)]),
        _family("healthy", "gauge", "1 while it is well, as /health says.", [("", {}, not subject.faults())]),
        _family(
            "studies",
            "gauge",
            "Studies that it knows.",
            [("", {"state": state}, states[state]) for state in StudyState],
        ),
        _family(
            "oldest_waiting_seconds",
            "gauge",
            "Since the first image of the oldest study that is complete and has no result yet.",
            [("", {}, max((subject.ledger.now() - received for received in at_work), default=0.0))],
        ),
        _family(
            "deliveries",
            "gauge",
            "Results on their way to an archive.",
            [
                ("", {"archive": archive, "state": state}, deliveries[archive, state])
                for archive in archives
                for state in DeliveryState
            ],
        ),
        _family("images_received_total", "counter", "Objects kept.", [("", {}, subject.received())]),
        _family(
            "events_total",
            "counter",
            "What happened.",
            [("", {"event": act}, subject.tally.events[act]) for act in Act],
        ),
        _histogram("seconds_to_result", "From the last image to a result.", subject.tally.seconds[Act.COMPUTED]),
        _histogram("seconds_to_delivery", "From the last image to an archive.", subject.tally.seconds[Act.DELIVERED]),
        _family("disk_free_bytes", "gauge", "Of the disk of its folder.", [("", {}, subject.free())]),
        _family("disk_used_bytes", "gauge", "Images and results.", [("", {}, subject.used())]),
        _family("time_seconds", "gauge", "Its clock, since 1970.", [("", {}, time.time())]),
    )
    return "".join((f"# {INTENDED_USE}\n", *(line for family in families for line in family)))


def _family(name: str, kind: str, what: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {what}\n# TYPE {_PREFIX}{name} {kind}\n"
    for suffix, labels, value in samples:
        stated = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{_PREFIX}{name}{suffix}{'{' + stated + '}' if stated else ''} {float(value):.15g}\n"


def _histogram(name: str, what: str, histogram: Histogram) -> Iterator[str]:
    bounds = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")
    counts = list(accumulate(histogram.counts))
    buckets: list[_Sample] = [("_bucket", {"le": one}, count) for one, count in zip(bounds, counts, strict=True)]
    return _family(name, "histogram", what, [*buckets, ("_sum", {}, histogram.total), ("_count", {}, counts[-1])])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
