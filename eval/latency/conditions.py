"""What the machine was, and what else it did, while times were taken."""

from dataclasses import dataclass

_BUSY = 0.1  # share of the machine that others may use before it is worth a word


def threads_text(threads: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{threads} thread{'s' * (threads > 1)}"


def fallback_note(candidate: str, device: str) -> str:
    """One sentence for the reader who asked for times on a device and finds none."""
    return f"{candidate}: {device} asked for, but it ran on the CPU: not measured"


@dataclass(frozen=True)
class Conditions:
    """Of all the times taken in one setting (device, threads).

    cores: of the whole machine. load_before, load_after: 1-minute load averages, ours included; None where the system
    has none. others_busy: cores that other processes kept busy, on average over `seconds`.
    """

    device: str
    threads: int
    cpu: str
    cpu_features: tuple[str, ...]
    cores: int
    load_before: float | None
    load_after: float | None
    others_busy: float
    seconds: float

    @property
    def busy(self) -> bool:
        """Whether others used more than a tenth of the machine."""
        return self.others_busy > _BUSY * self.cores

    def note(self) -> str:
        """One sentence for the reader of times that were taken on a busy machine."""
        loads = [load for load in (self.load_before, self.load_after) if load is not None]
        load = f", load {max(loads):.1f}" if loads else ""
        return (
            f"timing on {self.device} with {threads_text(self.threads)}: other work kept {self.others_busy:.1f} of "
            f"{self.cores} cores busy{load}: absolute times are high; speedups are paired by round and hold better"
        )
