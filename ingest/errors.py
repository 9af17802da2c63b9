"""What can go wrong, as a tree; every message says what, where and what to do.

OrchriskError
├── SourceError      a path that is absent, or that the system will not let us read
├── MalformedDump    a dump that no format can read, or that is unsafe to inflate
├── CohortError      a cohort name that cannot name a partition
└── LakeError        a folder that is no lake of ours, or a lake that needs more than we can read
    └── LakeBusyError other writers won every race for this commit
"""


class OrchriskError(Exception):
    """Anything orchrisk refuses, worded for the person who asked."""


class SourceError(OrchriskError):
    """A source that cannot be opened or read."""


class MalformedDump(OrchriskError):  # noqa: N818 - named as the field says it
    """A dump refused as a whole: nothing of it enters the lake."""


class CohortError(OrchriskError):
    """A cohort name outside `schema.COHORT_PATTERN`."""


class LakeError(OrchriskError):
    """A lake that cannot be read or written as it stands."""


class LakeBusyError(LakeError):
    """A commit that lost every race; running it again is safe."""
