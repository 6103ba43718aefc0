# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, under the names that programs catch. `message` is the text alone."""
import json
import traceback


class AzureMLException(Exception):
    """The base of all."""

    _error_code = "SystemError"

    def __init__(self, exception_message, inner_exception=None, target=None, details=None, message_format=None,
                 message_parameters=None, reference_code=None, **kwargs):
        super().__init__(exception_message)
        self._message, self._inner, self._details = exception_message, inner_exception, details

    @property
    def message(self):
        return self._message

    @message.setter
    def message(self, value):
        self._message = value

    @property
    def inner_exception(self):
        return self._inner

    def print_stacktrace(self):
        traceback.print_exception(self)

    def __str__(self):
        error = {"error": {"code": self._error_code, "message": self._message}}
        return (f"{type(self).__name__}:\n\tMessage: {self._message}\n\tInnerException {self._inner}\n\tErrorResponse \n"
                f"{json.dumps(error, indent=4)}")

    __repr__ = __str__


class UserErrorException(AzureMLException):
    """Something was asked that cannot be."""

    _error_code = "UserError"

    def __init__(self, exception_message, **kwargs):
        super().__init__(exception_message, **kwargs)


class WebserviceException(AzureMLException):
    """Models, images and services: what the workspace refuses or fails at."""

    def __init__(self, exception_message, status_code=None, logger=None, **kwargs):
        super().__init__(exception_message, **kwargs)
        self.status_code = status_code


class ModelNotFoundException(AzureMLException):
    """There is no such model."""

    def __init__(self, exception_message, logger=None, **kwargs):
        super().__init__(exception_message, **kwargs)


class ModelPathNotFoundException(AzureMLException):
    """There is no such file of a model."""

    def __init__(self, exception_message, logger=None, **kwargs):
        super().__init__(exception_message, **kwargs)


class WorkspaceException(AzureMLException):
    """There is no such workspace."""

    def __init__(self, exception_message, found_multiple=False, **kwargs):
        super().__init__(exception_message, **kwargs)
        self.found_multiple = found_multiple


class ComputeTargetException(AzureMLException):
    """There is no such place to deploy to."""

    def __init__(self, exception_message, **kwargs):
        super().__init__(exception_message, **kwargs)


class AuthenticationException(UserErrorException):
    """Never raised: a workspace in a folder asks for no account."""

    def __init__(self, exception_message, **kwargs):
        super().__init__(exception_message, **kwargs)
