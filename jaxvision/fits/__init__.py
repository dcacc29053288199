"""Solvers of R-CNN's stages that are not gradient descent: SVMs on hard negatives, box regression."""
