"""URLs of stores: what of them is shown, and what is kept apart."""

from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from services.replication.domain.region import StoreAddress

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
    parts = urlsplit(text)
    if parts.scheme == "file":
        if parts.query or parts.fragment or parts.netloc not in {"", "localhost"}:
            raise ValueError("a file URL has the form file:///directory")
        if any(part in {"", ".", ".."} for part in unquote(parts.path).strip("/").split("/")):
            raise ValueError("a directory has no empty part, and neither '.' nor '..' as a part")
        return StoreAddress(f"file://{parts.path.rstrip('/')}")
    if parts.scheme not in _USER or not parts.hostname:
        raise ValueError("a store URL begins with file:///, s3://, gs:// or az://")
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    options = dict(parse_qsl(parts.query))
    for name, value in zip(_USER[parts.scheme], (parts.username, parts.password), strict=True):
        if name and value:
            options[name] = unquote(value)
    if known is not None and known.url == shown and not options:
        return known
    return StoreAddress(shown, options)
