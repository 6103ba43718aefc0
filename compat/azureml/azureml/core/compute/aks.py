# SPDX-License-Identifier: Apache-2.0
"""AksCompute: a Kubernetes cluster. What is said of machines and networks provisions nothing."""
from azureml.core import _command
from azureml.core.compute.compute import (ComputeTarget, ComputeTargetAttachConfiguration,
                                          ComputeTargetProvisioningConfiguration, _place)
from azureml.exceptions import ComputeTargetException


class AksCompute(ComputeTarget):
    """A Kubernetes cluster that kubectl knows."""

    _compute_type = "AKS"

    class ClusterPurpose:
        """What a cluster is for."""

        DEV_TEST = "DevTest"
        FAST_PROD = "FastProd"

    @staticmethod
    def attach(workspace, name, resource_id):
        return ComputeTarget.attach(workspace, name, AksCompute.attach_configuration(resource_id=resource_id))

    @staticmethod
    def provisioning_configuration(agent_count=None, vm_size=None, ssl_cname=None, ssl_cert_pem_file=None,
                                   ssl_key_pem_file=None, location=None, vnet_resourcegroup_name=None, vnet_name=None,
                                   subnet_name=None, service_cidr=None, dns_service_ip=None, docker_bridge_cidr=None,
                                   cluster_purpose=None, load_balancer_type=None, load_balancer_subnet=None):
        return AksProvisioningConfiguration(**locals())

    @staticmethod
    def attach_configuration(resource_group=None, cluster_name=None, resource_id=None, cluster_purpose=None,
                             load_balancer_type=None, load_balancer_subnet=None):
        return AksAttachConfiguration(**locals())

    def refresh_state(self):
        pass

    def delete(self):
        (_place(self.workspace) / f"{self.name}.json").unlink(missing_ok=True)

    def detach(self):
        self.delete()

    def get_credentials(self):
        raise ComputeTargetException("who may use the cluster is in kubectl's configuration (~/.kube/config)")

    def serialize(self):
        return {"name": self.name, "computeType": self.type, "location": self.location,
                "provisioningState": self.provisioning_state, "clusterResourceId": self.cluster_resource_id}

    @staticmethod
    def deserialize(workspace, object_dict):
        return AksCompute(workspace, object_dict["name"])


class AksProvisioningConfiguration(ComputeTargetProvisioningConfiguration):
    """What a cluster is to be made of."""

    def __init__(self, agent_count, vm_size, ssl_cname, ssl_cert_pem_file, ssl_key_pem_file, location,
                 vnet_resourcegroup_name, vnet_name, subnet_name, service_cidr, dns_service_ip, docker_bridge_cidr,
                 cluster_purpose, load_balancer_type, load_balancer_subnet):
        super().__init__("AKS", location)
        vars(self).update(_command.arguments(locals()))

    def validate_configuration(self):
        if self.agent_count is not None and self.agent_count < 1:
            raise ComputeTargetException("Invalid configuration, agent count must be a positive integer.")


class AksAttachConfiguration(ComputeTargetAttachConfiguration):
    """Which cluster it is."""

    def __init__(self, resource_group=None, cluster_name=None, resource_id=None, cluster_purpose=None,
                 load_balancer_type=None, load_balancer_subnet=None):
        super().__init__("AKS")
        vars(self).update(_command.arguments(locals()))

    def validate_configuration(self):
        if bool(self.resource_id) == bool(self.cluster_name):
            raise ComputeTargetException("a cluster is named by its resource_id, or by resource_group and cluster_name")
