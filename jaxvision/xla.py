"""Placeholder until the fast form lands."""


def configure() -> None:
    """Nothing."""
