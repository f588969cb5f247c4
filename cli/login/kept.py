"""The sign-in of each context, kept in a file that nobody but its owner may read."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cli import contexts
from cli.contexts import Context
from cli.errors import CliError, ExitCode
from cli.installation.files import private_folder, write_secret
from cli.login.issuer import IssuerRefusal, TokenIssuer, Tokens

# A token with less than this left is refreshed before it is used, in seconds.
SPARE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """Tokens, and which client of which issuer they were given to."""

    issuer: str
    client_id: str
    access: str
    expires: float
    refresh: str = ""

    def is_of(self, context: Context) -> bool:
        """Whether it is what the context says now: another issuer's is never sent."""
        return (self.issuer, self.client_id) == (context.issuer, context.client_id)


def file_of(name: str) -> Path:
    """Where the sign-in of a context is kept."""
    return contexts.path().parent / "logins" / f"{name}.json"


def keep(context: Context, tokens: Tokens) -> None:
    """Keep a sign-in."""
    with _locked(context.name):
        _write(context, tokens)


def forget(name: str) -> bool:
    """Forget the sign-in of a context; answer whether there was one."""
    file = file_of(name)
    known = file.exists()
    file.unlink(missing_ok=True)
    return known


def token(context: Context) -> str:
    """Answer a token that is still good for a while, refreshed where it has to be.

    Raises:
        CliError: nobody is signed in, or no more; or the issuer does not answer.
    """
    found = _read(context)
    if found.expires - time.time() > SPARE:
        return found.access
    with _locked(context.name):
        # Another command may have done it meanwhile, and a refresh token is good once.
        found = _read(context)
        if found.expires - time.time() > SPARE:
            return found.access
        if not found.refresh:
            raise _signed_out(context, "the token expired and cannot be refreshed")
        try:
            tokens = TokenIssuer(context.issuer, context.client_id).refresh(found.refresh)
        except IssuerRefusal as error:
            raise _signed_out(context, *error.why) from error
        except CliError:
            if found.expires <= time.time():
                raise
            # It is good for this command: the issuer may be back for the next one.
            return found.access
        _write(context, tokens)
        return tokens.access


def _read(context: Context) -> Kept:
    try:
        found = Kept(**json.loads(file_of(context.name).read_text()))
    except FileNotFoundError:
        raise _signed_out(context) from None
    except (OSError, ValueError, TypeError) as error:
        raise _signed_out(context, str(error)) from error
    if not found.is_of(context):
        raise _signed_out(context, f"the sign-in is of {found.issuer}")
    return found


def _write(context: Context, tokens: Tokens) -> None:
    kept = Kept(context.issuer, context.client_id, tokens.access, tokens.expires, tokens.refresh)
    write_secret(file_of(context.name), json.dumps(asdict(kept)))


@contextmanager
def _locked(name: str) -> Iterator[None]:
    private_folder(file_of(name).parent)
    with file_of(name).with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _signed_out(context: Context, *why: str) -> CliError:
    return CliError(
        f"Nobody is signed in to {context.name}.",
        why=why,
        todo=f"Sign in: stoa login --context {context.name}",
        code=ExitCode.DENIED,
    )
