"""What torch.compile must leave as it is: exchanges between ranks, and draws from a generator."""

from __future__ import annotations

# As torch.compiler.disable, but the compiler is loaded when such a function is first called, not where it is defined:
# three seconds of a core in each of the processes of a run, most of which never call one.
from torch._compile import _disable_dynamo as uncompiled

__all__ = ["uncompiled"]
