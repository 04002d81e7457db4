"""The limits of Dataproc for requests for jobs, batches and clusters, each with the page that documents it.

The largest possible requests are checked when a pipeline is built, whichever option or document their values come from.
"""

from __future__ import annotations

from starlake_core import Limit

from . import beyond_limits as beyond
from .beyond_limits import Request

__all__ = ["LIMITS"]

_SDK = "https://cloud.google.com/python/docs/reference/dataproc/latest/google.cloud.dataproc_v1.types."
_SERVERLESS = "https://cloud.google.com/dataproc-serverless/docs/concepts/"
_DATAPROC = "https://cloud.google.com/dataproc/docs/concepts/"
_METADATA = (
    "https://cloud.google.com/dotnet/docs/reference/Google.Cloud.Compute.V1/latest/Google.Cloud.Compute.V1.Items"
)

LIMITS: tuple[Limit[Request], ...] = (
    Limit(
        "name of a variable",
        "letters, digits, '_', '-' and '.', not starting with a digit",
        "{name} is not a valid name for a variable; rename it to {better} in the option sl_env_var",
        "https://pubs.opengroup.org/onlinepubs/9699919799/basedefs/V1_chap08.html",
        beyond.bad_variables,
    ),
    Limit(
        "name of a variable on a cluster",
        "letters, digits and '_', because a shell script sets it",
        "variable {name} may not reach the drivers of a cluster; rename it to {better} in the option sl_env_var",
        "",
        beyond.no_shell_variables,
    ),
    Limit(
        "length of a variable or argument",
        "less than 131072 bytes, the limit of Linux",
        "{what} has {length} bytes; put the long value into a file, and pass the name of the file",
        "",
        beyond.long_words,
    ),
    Limit(
        "size of a request",
        "at most 10485760 bytes",
        "the request has {size} bytes; put long values into a file, and pass the name of the file",
        "",
        beyond.big_requests,
    ),
    Limit(
        "labels of a job, batch or cluster",
        "at most 32",
        "{count} labels, {own} of which this plugin adds; remove {over} from the option dataproc_labels",
        f"{_SDK}Job",
        beyond.many_labels,
    ),
    Limit(
        "name of a label",
        "1 to 63 lower-case letters, digits, '-' and '_', starting with a letter",
        "{name} is not a valid label name; rename it in the option dataproc_labels",
        f"{_SDK}Job",
        beyond.bad_label_names,
    ),
    Limit(
        "value of a label",
        "at most 63 lower-case letters, digits, '-' and '_'",
        "{value} is not a valid value for label {name}; change it in the option dataproc_labels",
        f"{_SDK}Job",
        beyond.bad_label_values,
    ),
    Limit(
        "region",
        "a region of Compute Engine such as europe-west1",
        "{region} is not a region; write 'dataproc_region': 'europe-west1', or another region listed by: gcloud compute regions list",
        f"{_DATAPROC}regional-endpoints",
        beyond.bad_regions,
    ),
    Limit(
        "zone of a cluster",
        "a zone of its region",
        "zone {zone} is not in region {region}; write 'dataproc_zone': '{region}-b', or remove the option to let Dataproc choose",
        f"{_DATAPROC}regional-endpoints",
        beyond.zones_elsewhere,
    ),
    Limit(
        "cluster name",
        "at most 51 lower-case letters, digits and dashes, starting with a letter and not ending with a dash",
        "{name} is not a valid cluster name; shorten the option dataproc_name, or dataproc_cluster if the cluster exists",
        f"{_SDK}Cluster",
        beyond.bad_clusters,
    ),
    Limit(
        "job id",
        "1 to 100 letters, digits, '-' and '_'",
        "{name} is not a valid job id; shorten the name of the pipeline or task",
        f"{_SDK}JobReference",
        beyond.bad_jobs,
    ),
    Limit(
        "batch id",
        "4 to 63 lower-case letters, digits and dashes",
        "{name} is not a valid batch id; shorten the name of the pipeline or task",
        f"{_SDK}CreateBatchRequest",
        beyond.bad_batches,
    ),
    Limit(
        "request id",
        "at most 40 letters, digits, '-' and '_'",
        "{name} is not a valid request id; shorten the name of the pipeline or task",
        f"{_SDK}CreateBatchRequest",
        beyond.bad_requests,
    ),
    Limit(
        "restarts of a driver per hour",
        "at most 10",
        "{count} restarts; write 'dataproc_max_failures_per_hour': 10, or less",
        f"{_SDK}JobScheduling",
        beyond.many_failures,
    ),
    Limit(
        "workers of a cluster",
        "at least 2",
        "{count}; write 'dataproc_num_workers': 2, or 'dataproc_single_node': True for a single-node cluster",
        f"{_SDK}ClusterConfig.ClusterType",
        beyond.few_workers,
    ),
    Limit(
        "workers of a single-node cluster",
        "none",
        "{count} workers of a single-node cluster (dataproc_num_workers, dataproc_single_node); write 'dataproc_num_workers': {count}, and remove "
        "'dataproc_single_node'",
        f"{_DATAPROC}single-node-clusters",
        beyond.workers_of_one_node,
    ),
    Limit(
        "secondary workers of a single-node cluster",
        "none",
        "option 'dataproc_secondary_num_workers' ({count}) of plugin 'dataproc': a single-node cluster "
        "(dataproc_num_workers, dataproc_single_node) has no secondary workers; give it at least 2 workers, or remove the option",
        f"{_DATAPROC}single-node-clusters",
        beyond.secondary_of_one_node,
    ),
    Limit(
        "image of a cluster",
        "MAJOR.MINOR, optionally with a subminor version and an operating system",
        "image {version}; write 'dataproc_image_version': '2.2-debian12'",
        f"{_DATAPROC}versioning/overview",
        beyond.bad_images,
    ),
    Limit(
        "runtime of a batch",
        "MAJOR.MINOR",
        "runtime {version}; write 'dataproc_serverless_version': '2.2'",
        f"{_SERVERLESS}versions/spark-runtime-versions",
        beyond.bad_runtimes,
    ),
    Limit(
        "time to live of a batch",
        "10 minutes to 14 days",
        "{ttl} s; write 'dataproc_job_wait_timeout': '14d', or less",
        f"{_SDK}ExecutionConfig",
        beyond.bad_ttls,
    ),
    Limit(
        "lifetime of a cluster",
        "5 minutes to 14 days when idle, or 10 minutes to 14 days in total",
        "{name} is {ttl} s; write 'dataproc_idle_delete_ttl': '1h', or at most '14d' in 'dataproc_cluster_config'",
        f"{_DATAPROC}scheduled-deletion",
        beyond.bad_lifetimes,
    ),
    Limit(
        "cores of the driver and executors of a batch",
        "4, 8 or 16",
        "{name} is {cores}; write 'spark_executor_cores': 4 for executors, 'spark_properties': {{\"spark.driver.cores\": \"4\"}} for the driver",
        f"{_SERVERLESS}properties",
        beyond.bad_cores,
    ),
    Limit(
        "executors of a batch",
        "at least 2",
        "spark.executor.instances is {count}; write 'spark_executor_instances': 2, and remove it from 'spark_properties'",
        f"{_SERVERLESS}properties",
        beyond.few_executors,
    ),
    Limit(
        "bucket name",
        "3 to 63 lower-case letters, digits, '-' and '_' (222 with dots, 63 between two), not containing 'google' or starting with 'goog'",
        "{name} is not a valid bucket name; look it up with: gcloud storage buckets list",
        "https://cloud.google.com/storage/docs/naming-buckets",
        beyond.bad_buckets,
    ),
    Limit(
        "network tag",
        "1 to 63 lower-case letters, digits and dashes, starting with a letter and not ending with a dash",
        "{tag} is not a valid network tag; change it in the option dataproc_tags",
        "https://cloud.google.com/vpc/docs/add-remove-network-tags",
        beyond.bad_tags,
    ),
    Limit(
        "network tags",
        "at most 64",
        "{count} tags; shorten the option dataproc_tags",
        "https://cloud.google.com/vpc/docs/add-remove-network-tags",
        beyond.many_tags,
    ),
    Limit(
        "name of a metadata entry",
        "less than 128 letters, digits, '-' and '_'",
        "{name} is not a valid name for a metadata entry; rename it in the option dataproc_cluster_metadata",
        _METADATA,
        beyond.bad_metadata_names,
    ),
    Limit(
        "size of a metadata entry",
        "at most 262144 bytes",
        "entry {name} has {size} bytes; put it into a file in a bucket, and the address of the file into the option dataproc_cluster_metadata",
        _METADATA,
        beyond.long_metadata,
    ),
    Limit(
        "size of all metadata",
        "less than 524288 bytes",
        "names and values have {size} bytes; put them into a file in a bucket, and the address of the file into the option dataproc_cluster_metadata",
        "https://googleapis.dev/dotnet/Google.Apis.Compute.alpha/latest/api/Google.Apis.Compute.alpha.Data.Metadata.ItemsData.html",
        beyond.much_metadata,
    ),
    Limit(
        "name of a cluster property",
        "PREFIX:PROPERTY",
        "property {name} has no prefix that names the file it goes into; write {better} in the option dataproc_cluster_properties, or set it "
        "for the jobs in 'spark_properties'",
        f"{_DATAPROC}cluster-properties",
        beyond.bad_properties,
    ),
)
"""The limits of requests for jobs, batches and clusters."""
