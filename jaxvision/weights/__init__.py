"""Files of weights, other people's and our own: reading them, renaming layers, and how the networks saw images."""
