"""The figures of a report: their names, one sentence on each, and how they are written."""

from collections.abc import Iterable
from typing import Final, NamedTuple


class FigureName(NamedTuple):
    """What a report calls a metric, and one sentence for readers without statistics."""

    label: str
    sentence: str


SHARES: Final = {
    "average_accuracy": FigureName(
        "Average accuracy",
        "The share of right answers on held-out samples of the learned domains, at the end.",
    ),
    "online_accuracy": FigureName(
        "Accuracy on the stream",
        "The share of observations of the stream whose best guess was right.",
    ),
    "forgetting": FigureName(
        "Forgetting",
        "How far the accuracy of a domain fell from its best to the end, on average.",
    ),
    "backward_transfer": FigureName(
        "Backward transfer",
        "How accuracy changed from just after a domain was learned to the end; below zero it fell.",
    ),
    "forward_transfer": FigureName(
        "Forward transfer",
        "How much better than guessing a domain was answered just before it was learned.",
    ),
    "fpr95": FigureName(
        "FPR95",
        "The share of new samples missed at a threshold that accepts 95 % of the known ones.",
    ),
    "false_alarm_rate": FigureName(
        "False-alarm rate, samples", "The share of known samples that were called new."
    ),
    "window_false_alarm_rate": FigureName(
        "False-alarm rate, windows",
        "The share of observations in alarm while their whole window was known.",
    ),
    "detection_rate": FigureName(
        "New samples detected", "The share of new samples that were called new."
    ),
    "abstention": FigureName("Abstention", "The share of observations answered without a label."),
    "degraded": FigureName(
        "Answered without labels",
        "The share of observations answered for a domain without labels.",
    ),
    "average_accuracy_heads": FigureName(
        "Average accuracy, without adaptors",
        "The average accuracy of the heads alone, without grown adaptors.",
    ),
    "held_out_gain": FigureName(
        "Gain of an adaptor, held-out facts",
        "How many more of the held-out facts a grown adaptor answered right than its predecessor.",
    ),
    "routing_accuracy": FigureName(
        "Routing, samples one by one",
        "The share of samples routed to the right domain, each on its own.",
    ),
    "routing_accuracy_window": FigureName(
        "Routing, with the stream's window",
        "The share of samples routed to the right domain together with those before them.",
    ),
}
"""Metrics between 0 and 1, written in percent."""

NUMBERS: Final = {
    "auroc": FigureName(
        "AUROC",
        "How well the novelty score separates new from known samples: 0.5 is chance, 1 is perfect.",
    ),
    "detection_delay": FigureName(
        "Detection delay, observations",
        "How many observations after a change the alarm came, on average.",
    ),
    "changes_missed": FigureName("Changes missed", "Changes of domain that raised no alarm."),
    "labels_taken": FigureName("Labels accepted", "Labels that became facts of the ledger."),
    "labels_wrong": FigureName("Wrong labels", "Labels that the scenario made wrong on purpose."),
    "rejected": FigureName(
        "Events rejected", "Events that the runtime refused, such as labels that came too late."
    ),
    "domains_opened": FigureName(
        "Domains of the device at the end", "Domains that the device distinguished by itself."
    ),
    "adaptors_grown": FigureName("Adaptors grown", "Searches that ended with a serving adaptor."),
    "growths_refused": FigureName(
        "Growths refused", "Searches whose best adaptor was no better on held-out facts."
    ),
    "growths_abandoned": FigureName(
        "Growths abandoned", "Searches that ended early: a fault, or a forget of their facts."
    ),
    "adaptor_bytes": FigureName(
        "Bytes of the largest adaptor", "Size of the largest adaptor, with its head."
    ),
    "facts": FigureName("Facts at the end", "Labelled examples in the ledger at the end."),
    "facts_forgotten": FigureName(
        "Facts forgotten", "Labelled examples that requests to forget erased."
    ),
    "crash": FigureName("Crashes", "Crashes that the scenario caused."),
    "worker_killed": FigureName("Workers killed", "Worker processes that the scenario killed."),
    "worker_late": FigureName("Workers late", "Worker processes that ran out of time."),
    "disk_full": FigureName("Full disks", "Writes that found the disk full."),
    "clock_jump": FigureName("Clock jumps", "Jumps of the device's clock."),
    "lost": FigureName("Observations lost", "Observations that never reached the device."),
    "doubled": FigureName("Observations doubled", "Observations that arrived twice."),
    "reordered": FigureName("Observations reordered", "Observations that arrived out of order."),
    "checks": FigureName(
        "Full checks of the promises",
        "Times that the knowledge was compared with one derived from scratch.",
    ),
    "peak_memory_mib": FigureName("Peak memory, MiB", "Most memory that the run held."),
    "bytes_written": FigureName("Bytes written", "Bytes that the run wrote to its store."),
    "wall_s": FigureName("Wall time, s", "How long the run took on this machine."),
}
"""All other metrics and costs."""

FIGURES: Final = {**SHARES, **NUMBERS}
"""Every figure, in the order of the report."""


def format_figure(name: str, value: float | None) -> str:
    """Format a metric: shares in percent, bytes and counts with separators."""
    if value is None:
        return "–"
    if name in SHARES:
        return f"{100 * value:z.1f} %".replace("-", "−")
    if name == "auroc":
        return f"{value:.3f}"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 run", "2 runs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def join_words(words: Iterable[str], most: int = 8) -> str:
    """Join words with commas; count those beyond `most`."""
    given = list(words)
    rest = f" and {len(given) - most} more" if len(given) > most else ""
    return ", ".join(given[:most]) + rest
