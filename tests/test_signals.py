import signal
import threading

import pytest

from gan_cli.signals import listening


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_noted_and_interrupts_nothing(number: signal.Signals) -> None:
    with listening() as request:
        assert request.signal_number is None
        signal.raise_signal(number)
        assert request.signal_number == number


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_second_interrupt_leaves_at_once(first: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), listening():
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGINT)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="inside"), listening():
        assert signal.getsignal(signal.SIGINT) != before[0]
        raise ValueError("inside")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_outside_the_main_thread_nothing_is_touched() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with listening():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
