"""Faster forms of some ops for CPUs, where XLA runs a few of jax's own operations as scalar loops.

`ops.dispatch` finds them by name; nothing else imports them. Remove this folder, and every op still gives the same
values, more slowly.
"""
