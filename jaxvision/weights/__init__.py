"""Other people's weights: reading their files, renaming their layers, and how their networks saw images."""
