"""Calls of AWS: each has a deadline, is retried while the service is at fault, and raises errors that say what to do."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from starlake_core import OutageError, RunnerError, StarlakeError
from starlake_core.logs import get_logger
from starlake_core.runtime import Backoff, credentials_of

__all__ = ["AwsClient", "Refusal"]

logger = get_logger(__name__)

CONNECT_SECONDS, READ_SECONDS = 5, 20
TRIES = 1
"""Seconds of one call by the SDK itself, whose pauses cannot be cut short; the client here retries until the time is over."""
TOTAL_SECONDS = 120.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0

_PASSING = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "InternalFailure",
        "InternalServerError",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransientError",
    }
)
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation"})
# ECS queries EC2 about the network, and reports an error of EC2 as an invalid request.
_PASSING_TEXT = re.compile(r"RequestLimitExceeded|Rate exceeded|Request limit exceeded", re.IGNORECASE)
_QUOTA_TEXT = re.compile(r"reached the limit on the number of", re.IGNORECASE)
_ACTION = re.compile(r"perform: ([\w-]+:\w+)(?:.*?on resource: (\S+))?")
_HINTS = (
    (
        re.compile(r"TaskDefinition.*(not found|inactive)|Unable to describe task definition", re.IGNORECASE),
        "Register the task definition in this region, or correct the option aws_task_definition_name",
    ),
    (
        re.compile(r"not a container in the TaskDefinition", re.IGNORECASE),
        "Set aws_task_definition_container_name to the name of a container in the task definition",
    ),
    (
        re.compile(r"subnet", re.IGNORECASE),
        "Correct aws_task_private_subnets: list subnets of this region that are in one VPC and in different zones",
    ),
    (
        re.compile(r"security group|InvalidGroup", re.IGNORECASE),
        "Correct aws_task_security_groups: list security groups of the VPC that the subnets are in",
    ),
    (
        re.compile(r"overrides? length|Container Overrides", re.IGNORECASE),
        "Set variables that never change in the task definition instead of sl_env_var",
    ),
    (
        re.compile(r"\b(cpu|memory)\b", re.IGNORECASE),
        "Lower the options cpu and memory, or use a larger task definition",
    ),
    (
        re.compile(r"capacity ?provider", re.IGNORECASE),
        "Add the capacity provider to the cluster, or remove aws_capacity_provider",
    ),
    (re.compile(r"platform", re.IGNORECASE), "Correct aws_platform_version, or remove it"),
    (
        re.compile(r"launch.?type|FARGATE", re.IGNORECASE),
        "Use a task definition that is compatible with FARGATE and has the network mode awsvpc",
    ),
)


class AwsClient:
    """Clients of one region with one set of credentials, shared by threads.

    Args:
        service: the part of a job's spec that its endpoint names.

    Attributes:
        region: the region of the cluster.
        total_seconds: how long a call is retried by default, in seconds.
        first_pause: the pause before the first retry, in seconds.

    Raises:
        RunnerError: the profile does not exist.
    """

    def __init__(self, service: Mapping[str, Any]) -> None:
        self.region = str(service["region"])
        self.total_seconds = TOTAL_SECONDS
        self.first_pause = FIRST_PAUSE
        self._endpoint = service["endpoint_url"] or None
        self._profile = str(service["profile"])
        self._session = credentials_of("aws") or self._new_session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def _new_session(self) -> Any:
        import boto3
        from botocore.exceptions import ProfileNotFound

        # 'default' also works without a profile: it means variables, the configuration file if there is one, and the role of the machine.
        profile = None if self._profile == "default" else self._profile
        try:
            return boto3.Session(profile_name=profile, region_name=self.region)
        except ProfileNotFound as error:
            raise RunnerError(
                f"{error}; add it to the AWS configuration of this worker (aws configure --profile {self._profile}), or correct the option "
                "aws_profile"
            ) from error

    def client(self, name: str, region: str = "") -> Any:
        """The client of a service.

        Args:
            name: the name of the service, such as ``ecs``.
            region: a region other than that of the cluster.
        """
        from botocore.config import Config

        key = (name, region or self.region)
        with self._lock:  # a session creates one client at a time
            if key not in self._clients:
                config = Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": TRIES},
                    max_pool_connections=32,
                    user_agent_extra="starlake-core-fargate",
                )
                try:
                    self._clients[key] = self._session.client(
                        name, region_name=key[1], endpoint_url=self._endpoint, config=config
                    )
                except Exception as error:
                    raise self._explained(error, f"connecting to {name}") from error
            return self._clients[key]

    def call(
        self,
        service: str,
        operation: str,
        doing: str,
        *,
        total: float | None = None,
        region: str = "",
        **parameters: Any,
    ) -> Any:
        """Call an operation.

        Args:
            service: the name of the service, such as ``ecs``.
            operation: the name of the operation, such as ``run_task``.
            doing: what the call does, such as ``starting load_orders``, for messages.
            total: how long the call is retried, in seconds.
            region: a region other than that of the cluster.
            **parameters: the parameters of the operation, with AWS's names.

        Raises:
            RunnerError: a permission, a quota or a resource is missing, or the request is wrong.
            OutageError: the service did not answer for as long as the call was retried.
        """
        method = getattr(self.client(service, region), operation)
        seconds = self.total_seconds if total is None else total
        backoff = self.backoff(seconds)
        while True:
            try:
                return method(**parameters)
            except Exception as error:
                if not self._is_passing(error):
                    raise self._explained(error, doing) from error
                if not backoff.wait():
                    raise OutageError(f"AWS did not answer for {seconds:g} s ({doing}): {error}") from error
                logger.info("AWS: %s: retrying: %s", doing, error)

    def backoff(self, total: float) -> Backoff:
        """The pauses between retries.

        Args:
            total: how long to retry, in seconds from now.
        """
        return Backoff(total, self.first_pause, LONGEST_PAUSE)

    def _is_passing(self, error: Exception) -> bool:
        """Whether an error is transient."""
        from botocore import exceptions

        if isinstance(error, exceptions.ClientError):
            code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            said = str(error)
            return (
                code in _PASSING
                or status == 429
                or (status >= 500 and code != "NotImplemented")
                or _PASSING_TEXT.search(said) is not None
            ) and _QUOTA_TEXT.search(said) is None
        if isinstance(error, exceptions.SSLError):
            return False
        if isinstance(error, exceptions.EndpointConnectionError):
            return self._region_is_known()
        return isinstance(
            error,
            (
                exceptions.ConnectionError,
                exceptions.HTTPClientError,
                exceptions.MetadataRetrievalError,
                exceptions.CredentialRetrievalError,
                exceptions.IncompleteReadError,
                exceptions.ResponseStreamingError,
            ),
        )

    def _region_is_known(self) -> bool:
        """Whether the region exists, so that an address without an answer is not simply a wrong one."""
        if self._endpoint:
            return True
        known = {
            region
            for partition in self._session.get_available_partitions()
            for region in self._session.get_available_regions("ecs", partition_name=partition)
        }
        return self.region in known

    def _explained(self, error: Exception, doing: str) -> StarlakeError:
        from botocore import exceptions

        if isinstance(error, exceptions.ClientError):
            said = error.response.get("Error", {}).get("Message") or str(error)
            return Refusal(f"AWS: {doing}: {_code(error)}: {said.rstrip('.')}. {self._hint(error, said)}.", error)
        about = f"AWS: {doing}: {error}".rstrip(".")
        if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
            return RunnerError(f"{about}. {self._credentials_hint()}.")
        if isinstance(error, exceptions.EndpointConnectionError):
            return RunnerError(
                f"{about}. This boto3 does not know a region {self.region!r}: correct the option aws_region."
            )
        if isinstance(error, exceptions.SSLError):
            return RunnerError(
                f"{about}. The certificate is not trusted: set AWS_CA_BUNDLE if a proxy opens the connections, or correct aws_endpoint_url."
            )
        if "SSO" in type(error).__name__ or "Token" in type(error).__name__:
            return RunnerError(f"{about}. Log in again: aws sso login --profile {self._profile}.")
        return RunnerError(f"{about}.")

    def _hint(self, error: Any, said: str) -> str:
        code = _code(error)
        action = _ACTION.search(said)
        if code in _DENIED or action is not None:
            if action is None:
                return "Grant the identity of this worker the missing permission (the README of starlake-core-fargate has a policy)"
            on = f" on {action[2].rstrip('.')}" if action[2] else ""
            return (
                f"Grant the identity of this worker {action[1]}{on} (the README of starlake-core-fargate has a policy)"
            )
        if code in _CREDENTIALS:
            return self._credentials_hint()
        if code == "ClusterNotFoundException":
            return (
                f"There is no such cluster in {self.region}: correct aws_cluster_name or aws_region, or create it "
                "(aws ecs create-cluster)"
            )
        if code == "LimitExceededException" or _QUOTA_TEXT.search(said) is not None:
            return (
                "Request a higher quota in Service Quotas (AWS Fargate: 'Fargate On-Demand vCPU resource count', for Spot 'Fargate Spot vCPU "
                "resource count'), or run fewer tasks at once"
            )
        if code == "NoSuchBucket":
            return "Create the bucket, or correct pre_load_not_ready_sentinel_path or SL_ROOT"
        if code == "BlockedException":
            return "The AWS account is blocked; contact AWS Support"
        return next((hint for form, hint in _HINTS if form.search(said)), "See the options of the environment fargate")

    def _credentials_hint(self) -> str:
        return (
            "This worker needs valid credentials: a role, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile named by the option "
            f"aws_profile (it is {self._profile!r})"
        )


class Refusal(RunnerError):
    """An error that AWS returned.

    Args:
        message: a message that says what to do.
        error: the error that boto3 raised.
    """

    def __init__(self, message: str, error: Any) -> None:
        super().__init__(message)
        self.code = _code(error)
        self.said = str(error.response.get("Error", {}).get("Message", ""))
        self.resources = tuple(error.response.get("resourceIds") or ())


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
