"""Questions about lasting alarms in a terminal, and their answers."""

from ...core import AlarmQuestion, EdgeError
from ..label_client import LabelClient
from .common import console, say, show_error
from .explanation import format_time

HARMLESS = frozenset({"h", "harmless"})
REAL = frozenset({"r", "real"})
HELP = "h if the change is harmless, r if it is real, Enter to skip, q to quit"


def show_question(one: AlarmQuestion) -> None:
    """Print which alarm it is about, since when, and how far the stream is above its level."""
    say(f"lasting alarm on {one.stream} since {format_time(one.from_ns)}", style="bold")
    say(
        f"  nearest to {one.domain}, {one.shift:.1f} deviations above its level over the last"
        f" {len(one.observation_ids)} observations, id {one.alarm_id}"
    )


def read_answer() -> bool | str | None:
    """Return True for harmless, False for real, "" to skip, None to quit."""
    while True:
        try:
            answer = console.input("  harmless or real: ").strip().lower()
        except (EOFError, KeyboardInterrupt):
            say("")
            return None
        if answer in HARMLESS | REAL:
            return answer in HARMLESS
        if answer in {"", "q"}:
            return "" if not answer else None
        say(f"  {HELP}")


def answer_questions(client: LabelClient, alarms: tuple[AlarmQuestion, ...]) -> bool:
    """Show each question, read its answer and send it; False if the user quits."""
    if not alarms:
        return True
    noun = "alarm lasts" if len(alarms) == 1 else "alarms last"
    say(f"{len(alarms)} {noun}; {HELP}")
    for one in alarms:
        show_question(one)
        answer = read_answer()
        if answer is None:
            return False
        if not isinstance(answer, bool):
            continue
        try:
            say(f"  {client.confirm(one, harmless=answer)}", style="green")
        except EdgeError as error:
            show_error(error.message, error.hint)
    return True
