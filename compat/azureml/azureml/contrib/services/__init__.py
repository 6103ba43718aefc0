# SPDX-License-Identifier: Apache-2.0
"""Requests and responses of a score.py under @rawhttp."""
from azureml.contrib.services.aml_request import rawhttp  # noqa: F401
