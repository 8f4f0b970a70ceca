"""Every bound of the core in one place, with the relations between them asserted."""

from typing import Final

COUNT_MAX: Final = 2**63 - 1
"""Largest time, sequence number or revision: SQLite and messages hold signed 64-bit integers."""

TEXT_CHARS_MAX: Final = 200
"""Longest id, domain, label, stream or subject: they become columns, topics and table cells."""

FACTS_PER_CONCEPT_MAX: Final = 1_000
"""Newest facts kept per (domain, label) unless the config says otherwise."""

WINDOW_OBSERVATIONS_MAX: Final = 4_096
"""Recent observations whose features wait for a late label, over all streams."""

DRIFT_WINDOW_MAX: Final = 64
"""Longest window of verdicts a stream keeps for its drift test."""

STREAMS_MAX: Final = 1_024
"""Streams whose session state is kept; the longest silent one goes first."""

HEAD_FACTS_MAX: Final = 4_096
"""Facts of its own domain a head is solved from."""

SUPPORT_FACTS_MAX: Final = 1_024
"""Facts of the other domains that take part in a domain's head."""

SURVEY_FACTS_MAX: Final = 2_048
"""Facts a geometry is surveyed from."""

CALIBRATION_FACTS_MAX: Final = 1_024
"""Facts per domain whose held-out scores set the thresholds."""

VERSIONS_MAX: Final = 2
"""Adaptor versions kept per domain: the one that serves, and the one a rollback returns to."""

ADAPTORS_MAX: Final = 64
"""Domains with an adaptor of their own; beyond it, the one that gains least retires."""

GROWTH_FACTS_MIN: Final = 20
"""Facts a domain needs before an adaptor is searched for it."""

CANDIDATES_MAX: Final = 256
"""Unlabelled observations kept because they are worth a label."""

OPENINGS_MAX: Final = 16
"""Domains that streams have come upon and that are not learned yet."""

OPENING_OBSERVATIONS_MAX: Final = 256
"""Newest observations that stand in for the facts of a domain that is not learned yet."""

WANTED_MAX: Final = 14
"""Observations of a new domain named at a time as most worth a label."""

CONTRIBUTIONS_MAX: Final = 64
"""Devices whose sums are kept."""

CONTRIBUTED_CONCEPTS_MAX: Final = 1_024
"""Concepts one of them may have."""

CONTRIBUTED_SAMPLES_MAX: Final = 1 << 24
"""Facts one of them may sum: together they still fit the sums' 32 bits."""

SERIES_MAX: Final = 64
"""Series whose forecasters are kept; the one that is silent longest goes first."""

SERIES_SUBJECTS_MAX: Final = 64
"""Subjects noted for a series: names of 200 characters then take 13 KB at most.  A series of more
subjects counts as one of any subject, so a request to forget one of them drops all of it.  Saved
series depend on this number: one with as many names has stopped noting them.  Chosen by hand."""

SERIES_CHANNELS_MAX: Final = 512
"""Channels of one series; bounds what a forecaster stores.  Chosen by hand; effect not measured."""

BATCH_FACTS: Final = 256
"""Facts read from a ledger at a time: so few that float32 sums of their products are exact."""

assert BATCH_FACTS * 255 * 255 < 2**24, "integer sums in float32 must be exact"
assert (CONTRIBUTIONS_MAX + 1) * CONTRIBUTED_SAMPLES_MAX < 2**31, "merged sums must fit int32"
assert DRIFT_WINDOW_MAX <= WINDOW_OBSERVATIONS_MAX
