"""Errors named by cause. A `UserError` is something the user can mend: jobs print it as one line and exit with 2."""

from __future__ import annotations

from collections.abc import Iterator


class PhysioCLRError(Exception):
    """Base of every error this package raises on purpose."""


class UserError(PhysioCLRError):
    """What was asked is wrong. The message is one sentence: what, where, and how to mend it."""


class ConfigError(UserError):
    """The configuration has an unknown key, a wrong type, or values that contradict each other."""


class StorageError(UserError):
    """A URI cannot be read or written: it is missing, refused, or the credentials are wrong."""


class SourceError(UserError):
    """A source of recordings is not laid out as its kind says, or holds no recordings."""


class DatasetError(UserError):
    """A prepared dataset is missing, incomplete, or was made with another configuration."""


class RunError(UserError):
    """A run cannot be started or continued: its name is taken by another configuration, or it asks for too much."""


class EncoderError(UserError):
    """An exported encoder cannot be loaded, or was given signals that it cannot encode."""


class RejectedRecording(PhysioCLRError):
    """One recording that cannot be used. It is counted and listed, and never stops a run.

    `reason` is one of the words in `physioclr.ecg.record.REJECTION_REASONS`; `detail` says what was seen, without
    anything that could identify a patient.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[RejectedRecording], tuple[str, str]]:
        return (type(self), (self.reason, self.detail))  # so that it survives a trip between Ray processes


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and every error behind it, nearest first, also where Ray has wrapped what its workers raise."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        failures = getattr(one, "worker_failures", None)
        queue += [getattr(one, name, None) for name in ("cause", "controller_failure", "__cause__", "__context__")]
        queue += list(failures.values()) if isinstance(failures, dict) else []
