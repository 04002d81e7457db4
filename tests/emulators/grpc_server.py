"""A gRPC server from functions: the services of an SDK's protobuf classes, with faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from .faults import Fault, Faults, Kind, When

__all__ = ["GrpcServer", "Method", "Refused"]

_CODES = {
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.LOST: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.KILL: grpc.StatusCode.UNAVAILABLE,
    Kind.SLOW: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
}
_MESSAGES = {
    Kind.THROTTLED: "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute per region'",
    Kind.QUOTA: "Quota exceeded: Insufficient 'CPUS' quota. Requested 20.0, available 4.0.",
}
_REASONS = {Kind.THROTTLED: "RATE_LIMIT_EXCEEDED"}


class Refused(Exception):
    """What a method raises to answer with an error of the service.

    Args:
        code: of gRPC.
        message: the message to show.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Method:
    """One method of a service.

    Attributes:
        call: gets the request and returns the reply, both as messages of proto-plus or protobuf.
        request: class of the request.
        reply: class of the reply.
    """

    call: Callable[[Any], Any]
    request: Any
    reply: Any


class GrpcServer:
    """Serves methods on a port of the loopback interface, without TLS.

    Args:
        services: name of a service, such as ``google.cloud.run.v2.Jobs``, to its methods by name.
        faults: asked for every call; the method's name is counted.
        port: 0 for any that is free.

    Attributes:
        address: ``127.0.0.1:port``.
    """

    def __init__(self, services: Mapping[str, Mapping[str, Method]], faults: Faults, port: int = 0) -> None:
        self._faults = faults
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        for service, methods in services.items():
            handlers = {name: self._handler(name, method) for name, method in methods.items()}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        self._server.start()

    def close(self) -> None:
        """Stop serving; calls that are under way are cut off."""
        self._server.stop(None).wait()

    def _handler(self, name: str, method: Method) -> Any:
        plus = hasattr(method.request, "pb")
        read = method.request.pb().FromString if plus else method.request.FromString

        def serve(raw: Any, context: grpc.ServicerContext) -> Any:
            fault = self._faults.take(name)
            slow = fault is not None and fault.kind is Kind.SLOW
            if fault is not None and fault.when is When.BEFORE:
                if slow:
                    time.sleep(self._faults.slow_seconds)
                else:
                    self._fail(fault, context)
            try:
                reply = method.call(method.request.wrap(raw) if plus else raw)
            except Refused as refused:
                context.abort(refused.code, str(refused))
            if fault is not None and slow:
                if fault.when is When.AFTER:
                    time.sleep(self._faults.slow_seconds)
            elif fault is not None:
                self._fail(fault, context)
            return method.reply.pb(reply) if hasattr(method.reply, "pb") else reply

        return grpc.unary_unary_rpc_method_handler(
            serve, request_deserializer=read, response_serializer=lambda reply: reply.SerializeToString()
        )

    def _fail(self, fault: Fault, context: grpc.ServicerContext) -> None:
        if fault.kind is Kind.KILL:
            self._faults.kill()
        if fault.kind is Kind.LOST and context.time_remaining() is not None:
            # The client waits until the deadline of its call; a long one is cut short, with the answer that it would get.
            time.sleep(min(0.2, max(0.0, context.time_remaining())))
        code = _CODES[fault.kind]
        message = fault.message or _MESSAGES.get(fault.kind, fault.kind.value)
        status = status_pb2.Status(code=code.value[0], message=message)
        if fault.kind in _REASONS:
            detail = AnyMessage()
            detail.Pack(error_details_pb2.ErrorInfo(reason=_REASONS[fault.kind], domain="googleapis.com"))
            status.details.append(detail)
        context.abort_with_status(rpc_status.to_status(status))
