# SPDX-License-Identifier: Apache-2.0
"""Container images of models and a score.py: image.py what every image has, container.py how one is built."""
from azureml.core.image.container import ContainerImage
from azureml.core.image.image import Image

__all__ = ["ContainerImage", "Image"]
