"""Settings and builders that the experiments of one area share, one subject a file."""
