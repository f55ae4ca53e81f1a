"""Tally: events by what happened, durations by their bounds."""

from ctpdeploy.service.node.events import Act, Event
from ctpdeploy.service.node.tally import BOUNDS, Tally


def test_events_and_their_durations_are_counted():
    tally = Tally()
    for seconds in (BOUNDS[0], BOUNDS[0] + 1, BOUNDS[-1] + 1):
        tally.note(Event(act=Act.COMPUTED, since_last_image=seconds))
    tally.note(Event(act=Act.DELIVERED))
    tally.note(Event(act=Act.REFUSED, since_last_image=1.0))
    assert tally.events == {Act.COMPUTED: 3, Act.DELIVERED: 1, Act.REFUSED: 1}
    made = tally.seconds[Act.COMPUTED]
    assert (made.counts[0], made.counts[1], made.counts[-1], sum(made.counts)) == (1, 1, 1, 3)
    assert made.total == BOUNDS[0] + BOUNDS[0] + 1 + BOUNDS[-1] + 1
    assert sum(tally.seconds[Act.DELIVERED].counts) == 0
