"""Entry point of the `stoa` command."""

import sys

from cli import VERSION


def main() -> None:
    """Run the command line; `--version` is answered before anything else is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"stoa {VERSION}")  # noqa: T201 the whole answer
        return
    from cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
