from cli.transfer.progress import Line, Lines, Meter, duration

MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_tells_bytes_rate_and_time_left() -> None:
    line = Line("eastus", "Replicating", 64 * MIB, 256 * MIB, rate=32 * MIB, remaining=6.0)
    assert line.text() == (
        "eastus         Replicating   25%  64.0 MiB of 256.0 MiB  32.0 MiB/s, 6 s left"
    )


def test_lines_are_written_when_a_state_changes_and_now_and_then() -> None:
    told: list[str] = []
    clock = Clock()
    lines = Lines(told.append, clock)
    for done in range(5):
        lines.show(Line("eastus", "Replicating", done * MIB, 10 * MIB))
        clock.now += 0.4
    lines.show(Line("eastus", "Completed", 10 * MIB, 10 * MIB, finished=True))
    assert [line.split("%")[0][-3:].strip() for line in told] == ["0", "30", "100"]


def test_regions_do_not_silence_each_other() -> None:
    told: list[str] = []
    lines = Lines(told.append, Clock())
    lines.show(Line("eastus", "Pending", 0, 1))
    lines.show(Line("westus", "Pending", 0, 1))
    assert len(told) == 2


def test_the_rate_counts_what_was_moved_and_not_the_holes() -> None:
    shown: list[Line] = []

    class View:
        def show(self, line: Line) -> None:
            shown.append(line)

    clock = Clock()
    meter = Meter(View(), "os.img", 100 * MIB, clock)
    meter.skip(50 * MIB)
    assert (shown[-1].done, shown[-1].rate) == (50 * MIB, None)
    clock.now = 2.0
    meter.move(20 * MIB)
    assert (shown[-1].rate, shown[-1].remaining) == (10 * MIB, 3.0)


def test_times_are_told_in_two_units_at_most() -> None:
    assert [duration(one) for one in (0.4, 4.4, 125, 3720)] == [
        "<1 s",
        "4 s",
        "2 min 5 s",
        "1 h 2 min",
    ]
