"""Work in parallel processes, and stopping in its midst."""

import subprocess
import sys

import pytest

STOPPED_AT_ONCE = """
import signal, time
from joblib.externals.loky.process_executor import _ExecutorManagerThread as Manager
from edge.sim.sweep import run_parallel

add = Manager.add_call_item_to_queue
def add_at_the_end(self):
    # The manager of the workers sees the tasks no sooner than the order to kill the workers.
    if self.executor_flags.kill_workers:
        add(self)
Manager.add_call_item_to_queue = add_at_the_end

def interrupt(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 1.0)
results = run_parallel(time.sleep, [(60.0,)] * 8, 2)
try:
    next(results)
except KeyboardInterrupt:
    print("stopped")
"""


def test_tasks_that_were_never_handed_out_end_without_a_traceback():
    """Whoever stops before the manager of the workers has seen the tasks reads nothing of them."""
    pytest.importorskip("joblib")
    command = [sys.executable, "-c", STOPPED_AT_ONCE]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (found.stdout, found.stderr) == ("stopped\n", "")
