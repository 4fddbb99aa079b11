"""URIs that carry secrets or do more than name a place. Both are refused before anything prints or stores them."""

from __future__ import annotations

import re

from physioclr.errors import StorageError

# s3://key:secret@bucket, where a secret may have slashes in it; s3://bucket/a@b and http://host:9000/a@b have none.
_SECRET_HOST = re.compile(
    r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*://)(?:[^/\s'\"@:]*:(?!\d+/)[^\s'\"@]*|[^/\s'\"@]*)@", re.IGNORECASE
)
_SECRET_QUERY = re.compile(
    r"([?&][^=\s&]*(?:signature|secret|token|password|key|sig)[^=\s&]*=)[^&\s'\"]+", re.IGNORECASE
)
# fsspec reads `reference::` as instructions of where to fetch what, with templates that can run code.
_REFUSED_SCHEMES = ("reference",)


def checked(uri: str) -> str:
    """`uri` itself. Raises `StorageError` when it has credentials in it, or is a chain of several file systems."""
    if "://" in uri and redacted(uri) != uri:
        raise StorageError(
            f"The URI {redacted(uri)} has credentials in it, which would get into logs and files; leave them out, set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment (or a profile, or a role), and replace "
            "those that were given."
        )
    scheme = uri.partition("://")[0]
    if "::" in uri or scheme in _REFUSED_SCHEMES:
        raise StorageError(f"{uri} is no plain URI; give a folder or a URI of one scheme, such as s3://BUCKET/PATH.")
    return uri


def redacted(text: str) -> str:
    """`text` with what looks like a secret within a URI replaced by stars."""
    return _SECRET_QUERY.sub(r"\1***", _SECRET_HOST.sub(r"\1***@", text))
