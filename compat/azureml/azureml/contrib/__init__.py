# SPDX-License-Identifier: Apache-2.0
"""azureml.contrib: `services` is what a score.py imports of it."""
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
