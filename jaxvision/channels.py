"""The mean and standard deviation of images' red, green and blue, by which networks' inputs are normalised."""

Channels = tuple[float, float, float]  # red, green, blue; 0..255

# Of ImageNet's training set: what most imported weights were trained with.
IMAGENET_MEAN: Channels = (123.675, 116.28, 103.53)
IMAGENET_STD: Channels = (58.395, 57.12, 57.375)
