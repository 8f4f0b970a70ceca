"""All bounds of the core, with the relations between them asserted.

Where a bound names no source, it was chosen by hand to bound memory or time on a small gateway;
docs/reference/config.md lists them all.
"""

from typing import Final

COUNT_MAX: Final = 2**63 - 1
"""Largest time, sequence number or revision: SQLite and messages hold signed 64-bit integers."""

TEXT_CHARS_MAX: Final = 200
"""Longest id, domain, label, stream, subject or recording: these become columns, topics and table
cells."""

FACTS_PER_CONCEPT_MAX: Final = 1_000
"""Default of `facts_per_concept`: facts kept per (domain, label)."""

WINDOW_OBSERVATIONS_MAX: Final = 4_096
"""Observations buffered for a late label, over all streams."""

DRIFT_WINDOW_MAX: Final = 64
"""Longest drift window, in observations."""

STREAMS_MAX: Final = 1_024
"""Streams whose session state is kept; the one silent for longest is dropped first."""

HEAD_FACTS_MAX: Final = 4_096
"""Facts of its own domain that a head is solved from."""

SUPPORT_FACTS_MAX: Final = 1_024
"""Facts of the other domains that a head is solved from."""

HEADS_BYTES_MAX: Final = 64 << 20
"""Bytes of solved adaptors: those of 400 domains with seven labels of the shipped image encoder.
The one not used for longest is dropped first; it is solved again when it is needed."""

GEOMETRY_FACTS_MAX: Final = 2_048
"""Facts that a geometry is fitted to."""

CALIBRATION_FACTS_MAX: Final = 1_024
"""Facts per domain whose held-out scores set the thresholds."""

VERSIONS_MAX: Final = 2
"""Adaptor versions kept per domain: the one that serves, and one to roll back to."""

ADAPTORS_MAX: Final = 64
"""Domains with an adaptor of their own; beyond it, the one that gains least is retired."""

GROWTH_FACTS_MIN: Final = 20
"""Facts a domain needs before an adaptor search starts."""

CANDIDATES_MAX: Final = 10_000
"""Label candidates kept in the ledger: as many as a person labels in weeks.  Their features take
12 MB with the shipped image encoder."""

NOVEL_DOMAINS_MAX: Final = 16
"""Novel domains: entered by streams and not learned yet."""

NOVEL_DOMAIN_OBSERVATIONS_MAX: Final = 256
"""Newest observations that stand in for the facts of a novel domain."""

LABEL_REQUEST_MAX: Final = 14
"""Observations named in one label request."""

CONTRIBUTIONS_MAX: Final = 64
"""Devices whose contributions are kept."""

COHORT_FRESH_MIN: Final = 8
"""Contents never published before in a cohort of facts, at least: the smallest group that any
number which leaves the device may be about.  Chosen by hand: at 8, concepts of a short enrolment
are published, and a forgotten fact takes 7 to 14 others with it."""

CONTRIBUTED_CONCEPTS_MAX: Final = 1_024
"""Concepts in one contribution."""

CONTRIBUTED_SAMPLES_MAX: Final = 1 << 24
"""Facts summed in one contribution: all contributions together still fit 32-bit sums."""

CONFIRMED_ALARMS_MAX: Final = 8
"""Confirmed false alarms kept per stream, each with the features of half a window."""

TRAIL_SCORES_MAX: Final = 256
"""Scores of a stream's newest observations that are kept: windows of 16 vary by a tenth of what
they measure.  128 and 512 did as well on the sets of benchmarks/trust/time_order.py."""

RECALIBRATION_KEYS_MAX: Final = 16
"""Subjects, and recordings, recorded per stream's recalibration; a record with more matches all."""

DOMAIN_MERGES_MAX: Final = 64
"""Merges of domains recorded, each with the ids of the facts that moved."""

MERGED_FACTS_MAX: Final = 1_024
"""Facts of a domain that the runtime merges by itself; more are merged by people."""

UNDO_NS: Final = 600 * 10**9
"""How long an action can be undone.  Facts that it evicted are kept for as long, so the file does
not grow by more than people label in ten minutes.  Chosen by hand."""

ACTIONS_MAX: Final = 256
"""Actions kept, the newest: one every two seconds.  Chosen by hand; effect not measured."""

ACTION_FACTS_MAX: Final = 100_000
"""Facts in the records of all actions but the newest; what exceeds it can't be undone any more.  A
record of a corrected fact takes about 150 bytes.  Chosen by hand; effect not measured."""

SERIES_MAX: Final = 64
"""Series whose forecasters are kept; the one silent for longest is dropped first."""

SERIES_SUBJECTS_MAX: Final = 64
"""Subjects, and recordings, noted of the samples of a series that are not kept: at 200 characters
each they take 26 KB at most.  With more, they match every subject, so forgetting any of them
restarts the series.  Saved series depend on this number: one with as many names has stopped
recording them.  Chosen by hand."""

SERIES_CHANNELS_MAX: Final = 512
"""Channels of one series; bounds what a forecaster stores.  Chosen by hand; effect not measured."""

SERIES_RANGES_MAX: Final = 1_024
"""Time ranges of forgotten samples that are remembered, of all series, the newest: 100 KB.  Chosen
by hand; effect not measured."""

SERIES_PART_SAMPLES: Final = 2_048
"""Samples of a series between two kept states: a week of five-minute samples.  A forget request
processes them again, about two seconds; a state takes about 3 ms."""

SERIES_PART_NUMBERS: Final = 1 << 17
"""Numbers of a series between two kept states: 1 MiB."""

SERIES_PARTS_MAX: Final = 3
"""Parts kept of a series: two to three weeks of five-minute samples.  Chosen by hand."""

SERIES_CHECKPOINT_BYTES_MAX: Final = 4 << 20
"""Largest state that is kept before a part: that of a series of a hundred channels.  A series
of more learns its kept samples again after a forget request."""

SERIES_BUFFER_BYTES_MAX: Final = 48 << 20
"""Bytes of kept samples and states of all series: those of twenty series of one channel.  Beyond
it, states go first, then samples, both of the series silent for longest.  Chosen by hand."""

BATCH_FACTS: Final = 256
"""Facts read from a ledger at a time: few enough that float32 sums of their products are exact."""

assert BATCH_FACTS * 255 * 255 < 2**24, "integer sums in float32 must be exact"
assert (CONTRIBUTIONS_MAX + 1) * CONTRIBUTED_SAMPLES_MAX < 2**31, "merged sums must fit int32"
assert DRIFT_WINDOW_MAX <= WINDOW_OBSERVATIONS_MAX
