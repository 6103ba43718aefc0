# SPDX-License-Identifier: Apache-2.0
"""The packages azureml.* over Sardonyx: programs written for Azure ML's SDK (v1) work on a workspace that is a folder.

core/ are workspaces, models, images and services, by way of the command `sardonyx` (core/_command.py); contrib/ and
monitoring/ are what a score.py imports. Other parts of azureml.* may lie elsewhere on the path.
"""
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
