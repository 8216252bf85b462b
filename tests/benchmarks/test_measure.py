"""The measuring is measured: known work must come out at its known cost."""

import re

import pytest

from benchmarks.measure import MIB, ContenderError, Measurement, interleave, measure, middle, ratio

HERE = "tests.benchmarks.contenders"


def test_cpu_and_wall_time_are_those_of_the_work():
    one = measure(f"{HERE}:burn", seconds=0.3)

    assert 0.3 <= one.cpu_seconds < 0.5
    assert one.result == {"burnt": 0.3}


def test_waiting_costs_no_cpu():
    one = measure(f"{HERE}:sleep", seconds=0.3)

    assert one.seconds >= 0.3
    assert one.cpu_seconds < 0.1


def test_a_childs_cpu_counts():
    assert measure(f"{HERE}:burn_in_child", seconds=0.3).cpu_seconds >= 0.3


def test_memory_above_idle_is_what_the_work_added():
    one = measure(f"{HERE}:hold", mib=64)

    assert 60 * MIB < one.above_idle_bytes < 80 * MIB
    assert one.idle_bytes > 20 * MIB
    assert one.peak_bytes >= one.work_peak_bytes


def test_a_peak_of_the_preparation_is_in_the_peak_but_not_above_idle():
    one = measure(f"{HERE}:spike_then_idle", mib=64)

    assert one.peak_bytes > 64 * MIB
    assert one.above_idle_bytes < 10 * MIB


def test_a_failing_contender_says_why():
    with pytest.raises(ContenderError, match=re.escape("the table bench.dbo.Bench12 is missing")):
        measure(f"{HERE}:fail")


def test_middle_is_the_median_of_each_number():
    def one(number: int) -> Measurement:
        return Measurement(number, number * 2, number, number, number, {"rows": 5})

    assert middle([one(9), one(1), one(4)]) == one(4)


def test_rounds_that_did_different_work_have_no_median():
    one, other = (Measurement(1, 1, 1, 1, 1, {"rows": rows}) for rows in (5, 6))

    with pytest.raises(ContenderError, match="did not do the same work"):
        middle([one, other])


def test_contenders_take_turns(capsys):
    burn, sleep = f"{HERE}:burn", f"{HERE}:sleep"
    contenders = {"a": {"contender": burn, "seconds": 0.01}, "b": {"contender": sleep, "seconds": 0}}

    medians = interleave(contenders, rounds=2)

    assert list(medians) == ["a", "b"]
    lines = [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["a", "b", "a", "b"]


def test_a_slow_contender_has_one_turn(capsys):
    sleep = f"{HERE}:sleep"
    contenders = {"slow": {"contender": sleep, "seconds": 0.1}, "quick": {"contender": sleep, "seconds": 0}}

    interleave(contenders, rounds=2, once_above=0.05)

    lines = [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["slow", "quick", "quick"]


def test_a_ratio_is_of_what_ran_at_the_same_time():
    def of(*numbers: float) -> Measurement:
        return middle([Measurement(1, 1, 1, 1, 1, {}, {"cpu": number}) for number in numbers])

    assert ratio(of(2, 4, 6), of(1, 2, 2), "cpu") == 2  # a machine that became slower, and once a slip
    assert ratio(of(2, 4, 6), of(2), "cpu") == 2
