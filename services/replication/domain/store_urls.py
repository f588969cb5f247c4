"""URLs of stores: what of them is shown, and what is kept apart."""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

from services.replication.domain.region import StoreAddress

# What file systems hold of one name, in bytes.
_MAX_PART: Final = 255
# What the user information of a URL means to each kind of bucket, in the words of its client.
_USER = {
    "s3": ("access_key_id", "secret_access_key"),
    "az": ("account_name", "account_key"),
    "gs": ("service_account_key", ""),
}


def parse_store_url(text: str, known: StoreAddress | None = None) -> StoreAddress:
    """Take credentials and settings out of a URL as it was sent.

    The URL that is shown of a known store, sent back, keeps what is stored with it.

    Raises:
        ValueError: no URL of a store; says why.
    """
    # Parsing would leave some of these out without a word.
    if not text.isprintable():
        raise ValueError("a store URL has no control characters")
    parts = urlsplit(text)
    if parts.scheme == "file":
        return StoreAddress(f"file://{quote(_directory(parts))}")
    if parts.scheme not in _USER or not parts.hostname:
        raise ValueError("a store URL begins with file:///, s3://, gs:// or az://")
    if ":" in parts.netloc.rpartition("@")[2]:
        # Most likely a secret with a slash in it, which would go on as the name of a bucket.
        raise ValueError("a store URL has no port; what stands before its @ is percent-encoded")
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    options = dict(parse_qsl(parts.query))
    for name, value in zip(_USER[parts.scheme], (parts.username, parts.password), strict=True):
        if name and value:
            options[name] = unquote(value)
    if known is not None and known.url == shown and not options:
        return known
    return StoreAddress(shown, options)


def _directory(parts: SplitResult) -> str:
    """Answer the one spelling of a directory: what is two spellings here is not two stores."""
    if parts.query or parts.fragment or parts.netloc not in {"", "localhost"}:
        raise ValueError("a file URL has the form file:///directory")
    try:
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("a directory is written in UTF-8") from None
    names = path.rstrip("/").split("/")[1:]
    if any(name in {"", ".", ".."} for name in names or [""]):
        raise ValueError("a directory has no empty part, and neither '.' nor '..' as a part")
    if any(len(name.encode()) > _MAX_PART for name in names) or not path.isprintable():
        raise ValueError(
            f"a part of a directory has at most {_MAX_PART} bytes, none a control character"
        )
    return "/" + "/".join(names)
