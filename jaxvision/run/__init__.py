"""The commands of `launch.py`: training, evaluation, prediction, export, reports, the gallery."""
