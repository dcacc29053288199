"""Arrays to pictures and pages; nothing here imports jax."""
