# SPDX-License-Identifier: Apache-2.0
"""ComputeTarget: the name of a place to deploy to, kept beside the workspace's config.json, in compute/NAME.json. Nothing
is provisioned: a cluster is one that kubectl knows already."""
import abc
import json
import pathlib

from azureml.core import _command
from azureml.exceptions import ComputeTargetException


def _place(workspace):
    return pathlib.Path(workspace._folder, ".azureml", "compute")


NAMES_OF_A_CLUSTER = ("resource_id", "cluster_name", "resource_group")


class ComputeTarget(abc.ABC):
    """A place to deploy to. ComputeTarget(workspace, name) is an AksCompute."""

    def __new__(cls, workspace, name):
        from azureml.core.compute.aks import AksCompute
        return object.__new__(AksCompute)

    def __init__(self, workspace, name):
        path = _place(workspace) / f"{name}.json"
        if not path.is_file():
            known = [target.name for target in ComputeTarget.list(workspace)]
            raise ComputeTargetException(f"there is no compute target '{name}'; there is {', '.join(known) or 'none'}")
        facts = json.loads(path.read_text(encoding="utf-8"))
        self.workspace, self.name, self.type, self.location = workspace, name, "AKS", workspace.location
        self.provisioning_state, self.provisioning_errors = "Succeeded", None
        self.cluster_resource_id, self.tags, self.description = facts.get("cluster"), {}, ""

    def __repr__(self):
        return f"{type(self).__name__}(workspace={self.workspace}, name={self.name}, type={self.type})"

    @staticmethod
    def create(workspace, name, provisioning_configuration):
        """Names a cluster. It is not made here: it is the one that kubectl talks to."""
        provisioning_configuration.validate_configuration()
        given = {key: value for key, value in vars(provisioning_configuration).items() if not key.startswith("_")}
        _command.warn_of(given, *(key for key in given if key not in NAMES_OF_A_CLUSTER))
        _place(workspace).mkdir(parents=True, exist_ok=True)
        facts = {"cluster": given.get("resource_id") or given.get("cluster_name")}
        (_place(workspace) / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")
        return ComputeTarget(workspace, name)

    @staticmethod
    def attach(workspace, name, attach_configuration):
        """Names a cluster that is there."""
        return ComputeTarget.create(workspace, name, attach_configuration)

    @staticmethod
    def list(workspace):
        """All that have a name."""
        return [ComputeTarget(workspace, path.stem) for path in sorted(_place(workspace).glob("*.json"))]

    def wait_for_completion(self, show_output=False, is_delete_operation=False):
        """Nothing to wait for."""
        if show_output:
            print(self.provisioning_state)

    @abc.abstractmethod
    def refresh_state(self):
        """Reads the state again."""

    def get_status(self):
        return self.provisioning_state

    @abc.abstractmethod
    def delete(self):
        """Forgets the name."""

    @abc.abstractmethod
    def detach(self):
        """Forgets the name."""

    @abc.abstractmethod
    def serialize(self):
        """What there is to say, as a dict."""


class ComputeTargetProvisioningConfiguration(abc.ABC):
    """What a place is to be made of."""

    def __init__(self, type, location):
        self._compute_type, self.location = type, location

    @abc.abstractmethod
    def validate_configuration(self):
        """Raises where it contradicts itself."""


class ComputeTargetAttachConfiguration(abc.ABC):
    """Which place it is."""

    def __init__(self, type):
        self._compute_type = type

    @abc.abstractmethod
    def validate_configuration(self):
        """Raises where it contradicts itself."""
