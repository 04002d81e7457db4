"""Finds what in a request for a job, a batch or a cluster exceeds the limits of Dataproc, with one function for each limit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .naming import CHECK_LABEL, OWN_LABELS, OWNER_LABEL
from .variables import DRIVER_PREFIXES, EXECUTOR, OF_CLUSTER

__all__ = [
    "Request",
    "bad_batches",
    "bad_buckets",
    "bad_clusters",
    "bad_cores",
    "bad_images",
    "bad_jobs",
    "bad_label_names",
    "bad_label_values",
    "bad_lifetimes",
    "bad_metadata_names",
    "bad_properties",
    "bad_regions",
    "bad_requests",
    "bad_runtimes",
    "bad_tags",
    "bad_ttls",
    "bad_variables",
    "big_requests",
    "few_executors",
    "few_workers",
    "long_metadata",
    "long_words",
    "many_failures",
    "many_labels",
    "many_tags",
    "much_metadata",
    "no_shell_variables",
    "secondary_of_one_node",
    "seconds_of",
    "workers_of_one_node",
    "zones_elsewhere",
]

Request = Mapping[str, Any]
Found = Iterator[Mapping[str, object]]

_DAY = 86400
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SHELL_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_REGION = re.compile(r"[a-z]+(-[a-z]+)+[0-9]+")
_CLUSTER = re.compile(r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?")
_JOB = re.compile(r"[A-Za-z0-9_-]{1,100}")
_BATCH = re.compile(r"[a-z0-9-]{4,63}")
_REQUEST = re.compile(r"[A-Za-z0-9_-]{0,40}")
_IMAGE = re.compile(r"(preview|[0-9]+\.[0-9]+(\.[0-9]+)?)(-[A-Za-z0-9]+)*")
_RUNTIME = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?")
_TAG = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_METADATA_KEY = re.compile(r"[a-zA-Z0-9_-]{1,127}")
_PROPERTY = re.compile(r"[a-z0-9-]+:.+", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]+[a-z0-9]")
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
_HASH = "0123456789ab"


def _at(value: Any, *path: str) -> Any:
    """The value at a path of a request; an empty mapping if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return {} if value is None else value


def seconds_of(duration: Any) -> float | None:
    """The seconds of a duration in a request; None if there are none.

    Args:
        duration: a duration in JSON form (``3600s``), or a mapping with ``seconds``.
    """
    if isinstance(duration, Mapping):
        duration = duration.get("seconds")
    try:
        return float(str(duration).removesuffix("s"))
    except ValueError:
        return None


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _shown(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({len(str(text))} characters)"


def _config(request: Request) -> Any:
    return _at(request, "cluster", "config")


def _execution(request: Request) -> Any:
    return _at(request, "batch", "environment_config", "execution_config")


def _spark(request: Request) -> Any:
    """The Spark properties of a job or batch."""
    return _at(request, "job", "spark_job", "properties") or _at(request, "batch", "runtime_config", "properties")


def _named_variables(request: Request) -> dict[str, str]:
    """The environment variables of drivers and executors, by name."""
    found = {}
    of_cluster = _at(_config(request), "software_config", "properties")
    for properties, prefixes in ((of_cluster, (OF_CLUSTER,)), (_spark(request), (EXECUTOR, *DRIVER_PREFIXES))):
        for name, value in properties.items():
            for prefix in prefixes:
                if name.startswith(prefix):
                    found[name.removeprefix(prefix)] = str(value)
    return found


def _labels(request: Request) -> Mapping[str, str]:
    labels: Mapping[str, str] = next(
        (_at(request, kind, "labels") for kind in ("job", "batch", "cluster") if kind in request), {}
    )
    return labels


def _most_labels(request: Request) -> int:
    """How many labels there can be: whether a task is a check is known only after its job was created."""
    labels = _labels(request)
    return len({*labels, CHECK_LABEL} if labels.get(OWNER_LABEL) == "run" else labels)


# -- what exceeds each limit


def bad_variables(request: Request) -> Found:
    for name in _named_variables(request):
        if not _VARIABLE.fullmatch(name):
            better = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "NAME"
            yield {"name": repr(name), "better": better if _VARIABLE.fullmatch(better) else f"_{better}"}


def no_shell_variables(request: Request) -> Found:
    if "cluster" in request:
        for name in _named_variables(request):
            if _VARIABLE.fullmatch(name) and not _SHELL_VARIABLE.fullmatch(name):
                yield {"name": repr(name), "better": re.sub(r"[^A-Za-z0-9_]", "_", name)}


def long_words(request: Request) -> Found:
    words = [(f"variable {name}", f"{name}={value}") for name, value in _named_variables(request).items()]
    spark = _at(request, "job", "spark_job") or _at(request, "batch", "spark_batch")
    words += [(f"argument {number}", word) for number, word in enumerate(spark.get("args", ()), 1)]
    for what, word in words:
        length = len(word.encode("utf-8", "surrogatepass"))
        if length >= 128 * 1024:
            yield {"what": what, "length": length}


def big_requests(request: Request) -> Found:
    size = len(json.dumps(request, ensure_ascii=False))
    if size > 10 * 1024 * 1024:
        yield {"size": size}


def many_labels(request: Request) -> Found:
    count = _most_labels(request)
    if count > 32:
        own = count - len([name for name in _labels(request) if name not in OWN_LABELS])
        yield {"count": count, "own": own, "over": count - 32}


def bad_label_names(request: Request) -> Found:
    for name in _labels(request):
        if not _LABEL.fullmatch(name):
            yield {"name": _shown(name)}


def bad_label_values(request: Request) -> Found:
    for name, value in _labels(request).items():
        if not _LABEL_VALUE.fullmatch(str(value)):
            yield {"name": name, "value": _shown(value)}


def bad_regions(request: Request) -> Found:
    region = _region(request)
    if region and not _REGION.fullmatch(region):
        yield {"region": _shown(region)}


def _region(request: Request) -> str:
    return str(request.get("region") or str(request.get("parent", "")).partition("/locations/")[2])


def zones_elsewhere(request: Request) -> Found:
    zone, region = (
        str(_at(_config(request), "gce_cluster_config", "zone_uri") or "").rpartition("/")[2],
        _region(request),
    )
    if zone and not re.fullmatch(f"{re.escape(region)}-[a-z0-9]+", zone):
        yield {"zone": _shown(zone), "region": region}


def bad_clusters(request: Request) -> Found:
    for name in (_at(request, "cluster", "cluster_name"), _at(request, "job", "placement", "cluster_name")):
        if name and not _CLUSTER.fullmatch(_PLACEHOLDER.sub(_HASH, name)):
            yield {"name": _shown(name)}


def bad_jobs(request: Request) -> Found:
    name = _at(request, "job", "reference", "job_id")
    if name and not _JOB.fullmatch(name):
        yield {"name": _shown(name)}


def bad_batches(request: Request) -> Found:
    name = request.get("batch_id")
    if name and not _BATCH.fullmatch(name):
        yield {"name": _shown(name)}


def bad_requests(request: Request) -> Found:
    name = request.get("request_id", "")
    if not _REQUEST.fullmatch(name):
        yield {"name": _shown(name)}


def many_failures(request: Request) -> Found:
    count = _number(_at(request, "job", "scheduling", "max_failures_per_hour") or 0)
    if count is not None and count > 10:
        yield {"count": count}


def _has_one_node(config: Mapping[str, Any]) -> bool:
    properties = _at(config, "software_config", "properties")
    return str(properties.get("dataproc:dataproc.allow.zero.workers", "")).lower() == "true"


def few_workers(request: Request) -> Found:
    config = _config(request)
    count = _number(_at(config, "worker_config").get("num_instances"))
    if count is not None and not _has_one_node(config) and count < 2 and config.get("cluster_type") != "ZERO_SCALE":
        yield {"count": "1 worker" if count == 1 else f"{count} workers"}


def workers_of_one_node(request: Request) -> Found:
    config = _config(request)
    count = _number(_at(config, "worker_config").get("num_instances"))
    if _has_one_node(config) and count:
        yield {"count": count}


def secondary_of_one_node(request: Request) -> Found:
    config = _config(request)
    count = _number(_at(config, "secondary_worker_config").get("num_instances"))
    if _has_one_node(config) and count and config.get("cluster_type") != "ZERO_SCALE":
        yield {"count": count}


def bad_images(request: Request) -> Found:
    version = _at(_config(request), "software_config").get("image_version")
    if version and not _IMAGE.fullmatch(str(version)):
        yield {"version": _shown(version)}


def bad_runtimes(request: Request) -> Found:
    version = _at(request, "batch", "runtime_config").get("version")
    if version and not _RUNTIME.fullmatch(str(version)):
        yield {"version": _shown(version)}


def bad_ttls(request: Request) -> Found:
    ttl = seconds_of(_execution(request).get("ttl"))
    if ttl is not None and not 600 <= ttl <= 14 * _DAY:
        yield {"ttl": f"{ttl:g}"}


def bad_lifetimes(request: Request) -> Found:
    lifecycle = _at(_config(request), "lifecycle_config")
    for name, least in (
        ("idle_delete_ttl", 300),
        ("idle_stop_ttl", 300),
        ("auto_delete_ttl", 600),
        ("auto_stop_ttl", 600),
    ):
        ttl = seconds_of(lifecycle.get(name))
        if ttl is not None and not least <= ttl <= 14 * _DAY:
            yield {"name": name, "ttl": f"{ttl:g}"}


def bad_cores(request: Request) -> Found:
    if "batch" in request:
        for name in ("spark.executor.cores", "spark.driver.cores"):
            cores = _spark(request).get(name)
            if cores is not None and str(cores) not in ("4", "8", "16"):
                yield {"name": name, "cores": _shown(cores)}


def few_executors(request: Request) -> Found:
    if "batch" in request:
        count = _number(_spark(request).get("spark.executor.instances"))
        if count is not None and count < 2:
            yield {"count": count}


def bad_buckets(request: Request) -> Found:
    config = _config(request)
    for name in (
        config.get("config_bucket"),
        config.get("temp_bucket"),
        _execution(request).get("staging_bucket"),
        _spark(request).get("spark.datasource.bigquery.temporaryGcsBucket"),
    ):
        if name and not _is_bucket(str(name)):
            yield {"name": _shown(name)}


def _is_bucket(name: str) -> bool:
    parts = name.split(".")
    return (
        _BUCKET.fullmatch(name) is not None
        and len(name) <= (222 if len(parts) > 1 else 63)
        and all(0 < len(part) <= 63 for part in parts)
        and not (len(parts) == 4 and all(part.isdigit() for part in parts))
        and not name.startswith("goog")
        and "google" not in name
    )


def _tags(request: Request) -> list[Any]:
    return list(
        _at(_config(request), "gce_cluster_config").get("tags") or _execution(request).get("network_tags") or ()
    )


def bad_tags(request: Request) -> Found:
    for tag in _tags(request):
        if not _TAG.fullmatch(str(tag)):
            yield {"tag": _shown(tag)}


def many_tags(request: Request) -> Found:
    count = len(_tags(request))
    if count > 64:
        yield {"count": count}


def _metadata(request: Request) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = _at(_config(request), "gce_cluster_config", "metadata")
    return metadata


def bad_metadata_names(request: Request) -> Found:
    for name in _metadata(request):
        if not _METADATA_KEY.fullmatch(name):
            yield {"name": _shown(name)}


def long_metadata(request: Request) -> Found:
    for name, value in _metadata(request).items():
        size = len(str(value).encode())
        if size > 256 * 1024:
            yield {"name": _shown(name), "size": size}


def much_metadata(request: Request) -> Found:
    size = sum(len(name.encode()) + len(str(value).encode()) for name, value in _metadata(request).items())
    if size >= 512 * 1024:
        yield {"size": size}


def bad_properties(request: Request) -> Found:
    for name in _at(_config(request), "software_config", "properties"):
        if not _PROPERTY.fullmatch(name):
            yield {"name": _shown(name), "better": f"spark:{name}" if name.startswith("spark.") else f"core:{name}"}
