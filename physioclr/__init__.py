"""PhysioCLR: contrastive pretraining of ECG encoders in which physiology chooses the pairs (arXiv 2509.08116)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physioclr.classifier import Classifier, load_classifier
    from physioclr.encoder import Encoder, load_encoder

__version__ = "0.1.0"
__all__ = ["Classifier", "Encoder", "__version__", "load_classifier", "load_encoder"]


def __getattr__(name: str) -> Any:
    if name in ("Encoder", "load_encoder"):  # torch is imported when an encoder is wanted, not before
        from physioclr import encoder

        return getattr(encoder, name)
    if name in ("Classifier", "load_classifier"):
        from physioclr import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module 'physioclr' has no attribute {name!r}")
