"""A service of the contract that this release does not build: every method is UNIMPLEMENTED."""


class Unbuilt:
    """Has none of the methods; the server answers for it."""
