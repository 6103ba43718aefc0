# SPDX-License-Identifier: Apache-2.0
"""Workspace: a folder with a config.json, found as Azure ML's SDK finds it. Name, group, subscription and location are
what that file says; they are shown and choose nothing."""
import json
import pathlib
import uuid

from azureml.core import _command
from azureml.exceptions import UserErrorException, WorkspaceException


WITHOUT_EFFECT = ("tags", "friendly_name", "storage_account", "key_vault", "app_insights", "container_registry", "adb_workspace",
                  "primary_user_assigned_identity", "cmk_keyvault", "resource_cmk_uri", "hbi_workspace", "private_endpoint_config",
                  "default_cpu_compute_target", "default_gpu_compute_target", "user_assigned_identity_for_cmk_encryption",
                  "v1_legacy_mode")


class Workspace:
    """The models, images and services of a folder. `Workspace.from_config()` is the usual way to one."""

    def __init__(self, subscription_id, resource_group, workspace_name, auth=None, _location=None,
                 _disable_service_check=False, _workspace_id=None, sku="basic", tags=None, _cloud="AzureCloud"):
        self._read(_command.ask("workspace", "show", failure=UserErrorException))
        wanted = {"name": workspace_name, "resource_group": resource_group, "subscription_id": subscription_id}
        for what, value in wanted.items():
            if value is not None and value != self._facts[what]:
                raise WorkspaceException(f"the workspace of this folder, {self._folder}, has the {what} '{self._facts[what]}', "
                                         f"not '{value}'; Workspace.from_config(path) opens that of another folder")

    def _read(self, facts):
        self._facts, self._folder = facts, facts["folder"]

    @classmethod
    def _of(cls, facts):
        made = object.__new__(cls)
        made._read(facts)
        return made

    def __repr__(self):
        return (f"Workspace.create(name='{self.name}', subscription_id='{self.subscription_id}', "
                f"resource_group='{self.resource_group}')")

    @staticmethod
    def from_config(path=None, auth=None, _logger=None, _file_name=None):
        """The workspace of a config.json: the file, or the folder where the search upwards starts."""
        if path and _file_name and pathlib.Path(path).is_dir():
            path = pathlib.Path(path, _file_name)
        return Workspace._of(_command.ask("workspace", "show", workspace=path and str(path), failure=UserErrorException))

    @staticmethod
    def create(name, auth=None, subscription_id=None, resource_group=None, location=None, create_resource_group=True,
               sku="basic", tags=None, friendly_name=None, storage_account=None, key_vault=None, app_insights=None,
               container_registry=None, adb_workspace=None, primary_user_assigned_identity=None, cmk_keyvault=None,
               resource_cmk_uri=None, hbi_workspace=False, default_cpu_compute_target=None,
               default_gpu_compute_target=None, private_endpoint_config=None, private_endpoint_auto_approval=True,
               exist_ok=False, show_output=True, user_assigned_identity_for_cmk_encryption=None,
               system_datastores_auth_mode="accessKey", v1_legacy_mode=None):
        """Makes the current folder a workspace. With exist_ok one of this name that is here is taken."""
        _command.warn_of(locals(), *WITHOUT_EFFECT)
        if exist_ok and pathlib.Path(".azureml/config.json").exists():
            found = Workspace.from_config()
            if found.name != name:
                raise WorkspaceException(f"this folder is a workspace already, named '{found.name}' and not '{name}'")
            return found
        words = [*_command.option("name", name), *_command.option("subscription-id", subscription_id),
                 *_command.option("resource-group", resource_group), *_command.option("location", location)]
        return Workspace._of(_command.ask("workspace", "create", *words, failure=WorkspaceException))

    @staticmethod
    def get(name, auth=None, subscription_id=None, resource_group=None, location=None, cloud="AzureCloud", id=None):
        """The workspace of this folder or one above, if that is its name."""
        return Workspace(subscription_id, resource_group, name)

    @staticmethod
    def list(subscription_id, auth=None, resource_group=None):
        """{name: [workspace]} of what is known here: the workspace of this folder, if it is of that subscription."""
        try:
            return {found.name: [found] for found in [Workspace(subscription_id, resource_group, None)]}
        except (UserErrorException, WorkspaceException):
            return {}

    def write_config(self, path=None, file_name=None):
        """Writes a config.json with this workspace's names. The workspace's own stays as it is; in another folder it makes
        that one a workspace, too, with models of its own."""
        target = pathlib.Path(path or ".", ".azureml", file_name or "config.json")
        if target.resolve() != pathlib.Path(self._facts["config"]).resolve():
            target.parent.mkdir(parents=True, exist_ok=True)
            facts = {"subscription_id": self.subscription_id, "resource_group": self.resource_group,
                     "workspace_name": self.name}
            target.write_text(json.dumps(facts, indent=4), encoding="utf-8")

    @property
    def name(self):
        return self._facts["name"]

    @property
    def subscription_id(self):
        return self._facts["subscription_id"]

    @property
    def resource_group(self):
        return self._facts["resource_group"]

    @property
    def location(self):
        return self._facts["location"]

    @property
    def sku(self):
        return "basic"

    @property
    def tags(self):
        return {}

    def get_details(self):
        """What there is to say of the workspace."""
        return {"id": f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}/providers/"
                      f"Microsoft.MachineLearningServices/workspaces/{self.name}",
                "name": self.name, "location": self.location, "type": "Microsoft.MachineLearningServices/workspaces",
                "workspaceid": str(uuid.uuid5(uuid.NAMESPACE_URL, pathlib.Path(self._folder).as_uri())),
                "friendlyName": self.name, "sku": self.sku, "storageAccount": self._facts["store"]}

    def delete(self, delete_dependent_resources=False, no_wait=False):
        """Removes the workspace with its models, images and services; the folder's own files stay."""
        _command.tell("workspace", "delete", "--yes", workspace=self._folder, failure=WorkspaceException)

    def _newest(self, found):
        """{name: the newest version} of a list that has the newest first."""
        return {one.name: one for one in reversed(found)}

    @property
    def models(self):
        from azureml.core.model import Model
        return self._newest(Model.list(self))

    @property
    def images(self):
        from azureml.core.image import Image
        return self._newest(Image.list(self))

    @property
    def webservices(self):
        from azureml.core.webservice import Webservice
        return self._newest(Webservice.list(self))

    @property
    def environments(self):
        from azureml.core.environment import Environment
        return Environment.list(self)

    @property
    def compute_targets(self):
        from azureml.core.compute import ComputeTarget
        return self._newest(ComputeTarget.list(self))
