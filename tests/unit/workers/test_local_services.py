"""Pure decisions of the local stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.local.services import Service, may_start, pause_before_restart, stop_groups


def service(name, **facts):
    return Service(name=name, argv=("true",), cwd=Path(), env={}, **facts)


def test_restarts_wait_longer_each_time_up_to_a_limit():
    pauses = [pause_before_restart(deaths) for deaths in (1, 2, 3, 50)]

    assert pauses == [0.5, 1.0, 2.0, 5.0]


@pytest.mark.parametrize(
    ("ready", "may"),
    [
        pytest.param(set(), False, id="nothing is ready"),
        pytest.param({"postgres"}, False, id="one is missing"),
        pytest.param({"postgres", "redis", "flower"}, True, id="all are"),
    ],
)
def test_a_program_may_start_when_all_that_it_waits_for_is_ready(ready, may):
    assert may_start(service("api", after=("postgres", "redis")), ready) is may


def test_programs_stop_in_groups_without_one_shot_programs():
    services = (
        service("postgres", stop_order=5),
        service("api", stop_order=1),
        service("beat", stop_order=3),
        service("flower", stop_order=3),
        service("migrations", one_shot=True),
    )

    names = [[one.name for one in group] for group in stop_groups(services)]

    assert names == [["api"], ["beat", "flower"], ["postgres"]]
