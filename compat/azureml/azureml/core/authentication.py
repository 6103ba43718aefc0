# SPDX-License-Identifier: Apache-2.0
"""Who one is in Azure. A workspace in a folder asks for nobody: whom the folder belongs to, the file system says. These
objects are accepted wherever programs hand one over."""


class AbstractAuthentication:
    """An account."""

    def __init__(self, cloud=None):
        self._cloud = cloud

    def get_authentication_header(self):
        """No header: nothing is sent anywhere."""
        return {}


class InteractiveLoginAuthentication(AbstractAuthentication):
    """Of a browser."""

    def __init__(self, force=False, tenant_id=None, cloud=None):
        super().__init__(cloud)


class AzureCliAuthentication(AbstractAuthentication):
    """Of the command az."""


class MsiAuthentication(AbstractAuthentication):
    """Of a machine."""

    def __init__(self, cloud=None, **kwargs):
        super().__init__(cloud)


class ServicePrincipalAuthentication(AbstractAuthentication):
    """Of a program."""

    def __init__(self, tenant_id, service_principal_id, service_principal_password, cloud="AzureCloud", _enable_caching=True):
        super().__init__(cloud)
