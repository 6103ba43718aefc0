# SPDX-License-Identifier: Apache-2.0
"""Where services are deployed to. ComputeTarget names a place, AksCompute a Kubernetes cluster."""
from azureml.core.compute.aks import AksCompute
from azureml.core.compute.compute import ComputeTarget

__all__ = ["AksCompute", "ComputeTarget"]
