# SPDX-License-Identifier: Apache-2.0
"""Where base images come from. Accounts are those of `podman login` and `docker login`."""


class ContainerRegistry:
    """Address and account of an OCI registry."""

    def __init__(self):
        self.address = self.username = self.password = self.registry_identity = None
